import { notFound } from '../errors.ts';
import { isoOfMicros } from '../lib/date-time.ts';
import { fieldBytes } from '../lib/json-fields.ts';
import { JsonWriter, type Pieces, pieceBytes } from '../lib/json-writer.ts';
import {
  type PiecesOfList,
  writeIrregular,
  writeMarked,
  writeMissing,
  writePresent,
  writeUsual,
} from './account-lists.ts';
import type { ChannelAccount } from './channel-account.ts';
import type { LedgerRead } from './ledger-read.ts';
import { LedgerAnswer } from './schemas.ts';
import type { ChannelName } from './store.ts';

const fields = fieldBytes(LedgerAnswer);
const channelItem = LedgerAnswer.properties.channels.items;
const ofChannel = fieldBytes(channelItem);
const ofChunk = fieldBytes(channelItem.properties.chunks.items);

/**
 * Which chunks of which channels are stored. Each channel is read in a snapshot of its own. Content hashes, if asked for,
 * are read later in pages, each of its own moment.
 */
export async function* ledgerAnswer(
  read: LedgerRead,
  { withHashes, withMarks = false }: { withHashes: boolean; withMarks?: boolean },
): Pieces {
  const { stream, channels } = read;
  const writer = new JsonWriter(pieceBytes);
  writer.bytes(fields.data_id).value(stream.data_id).bytes(fields.stream_name).value(stream.stream_name);
  writer.bytes(fields.points_per_chunk).integer(stream.points_per_chunk);
  writer.bytes(fields.finalized_at).value(stream.finalized_at).bytes(fields.channels).raw('[');
  for (const [i, channel] of channels.entries()) {
    if (i > 0) writer.raw(',');
    const account = await read.accountOf(channel);
    yield* writeAccount(writer, channel, account);
    if (withMarks) {
      yield* writeMarked(writer.bytes(ofChannel.replaced), account.replaced);
      yield* writeMarked(writer.bytes(ofChannel.late), account.late);
    }
    if (withHashes) yield* writeHashes(writer.bytes(ofChannel.chunks), read, channel, account.chunkCount);
    writer.raw('}');
    if (writer.isFull) yield writer.take();
  }
  yield writer.raw(']}').take();
}

/** Writes all fields of a channel, without the closing brace. */
function* writeAccount(writer: JsonWriter, { channel_name }: ChannelName, account: ChannelAccount): PiecesOfList {
  writer.bytes(ofChannel.channel_name).value(channel_name).bytes(ofChannel.units).value(account.units);
  writer.bytes(ofChannel.chunk_count).integer(account.chunkCount);
  writer.bytes(ofChannel.highest_chunk_index).integer(account.holes.highestIndex);
  yield* writePresent(writer.bytes(ofChannel.present), account);
  writer.bytes(ofChannel.missing_count).integer(account.holes.missingCount);
  yield* writeMissing(writer.bytes(ofChannel.missing), account);
  writer.bytes(ofChannel.skipped_count).integer(account.holes.skippedCount);
  writeUsual(writer.bytes(ofChannel.usual_point_counts), account);
  yield* writeIrregular(writer.bytes(ofChannel.irregular), account);
  writer.bytes(ofChannel.point_count).integer(account.pointCount);
  writer.bytes(ofChannel.null_count).integer(account.nullCount);
  writer.bytes(ofChannel.first_stored_at).value(isoOfMicros(account.firstStoredMicros));
  writer.bytes(ofChannel.last_changed_at).value(isoOfMicros(account.lastChangedMicros));
  writer.bytes(ofChannel.replaced_count).integer(account.replacedCount);
}

/** Writes at least `countMin` hashes. @throws ApiError 404 for fewer: chunks are only removed together with their stream */
async function* writeHashes(writer: JsonWriter, read: LedgerRead, channel: ChannelName, countMin: number): Pieces {
  let count = 0;
  writer.raw('[');
  for (let after = -1, isLast = false; !isLast; ) {
    const page = await read.hashesAfter(channel, after);
    count += page.length;
    for (const { chunkIndex, contentHash } of page) {
      if (after >= 0) writer.raw(',');
      writer.bytes(ofChunk.chunk_index).integer(chunkIndex).bytes(ofChunk.content_hash).value(contentHash).raw('}');
      after = chunkIndex;
      if (writer.isFull) yield writer.take();
    }
    isLast = page.length < read.pageChunksMax;
  }
  if (count < countMin) throw notFound('data_id');
  writer.raw(']');
}
