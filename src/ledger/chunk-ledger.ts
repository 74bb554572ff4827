import { notFound } from '../errors.ts';
import { isoOfMicros } from '../lib/date-time.ts';
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
import type { ChannelName } from './store.ts';

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
  writer.raw('{"data_id":').value(stream.data_id).raw(',"stream_name":').value(stream.stream_name);
  writer.raw(',"points_per_chunk":').integer(stream.points_per_chunk);
  writer.raw(',"finalized_at":').value(stream.finalized_at).raw(',"channels":[');
  for (const [i, channel] of channels.entries()) {
    if (i > 0) writer.raw(',');
    const account = await read.accountOf(channel);
    yield* writeAccount(writer, channel, account);
    if (withMarks) {
      yield* writeMarked(writer.raw(',"replaced":'), account.replaced);
      yield* writeMarked(writer.raw(',"late":'), account.late);
    }
    if (withHashes) yield* writeHashes(writer.raw(',"chunks":'), read, channel, account.chunkCount);
    writer.raw('}');
    if (writer.isFull) yield writer.take();
  }
  yield writer.raw(']}').take();
}

/** Writes all fields of a channel, without the closing brace. */
function* writeAccount(writer: JsonWriter, { channel_name }: ChannelName, account: ChannelAccount): PiecesOfList {
  writer.raw('{"channel_name":').value(channel_name).raw(',"units":').value(account.units);
  writer.raw(',"chunk_count":').integer(account.chunkCount);
  writer.raw(',"highest_chunk_index":').integer(account.holes.highestIndex);
  yield* writePresent(writer.raw(',"present":'), account);
  writer.raw(',"missing_count":').integer(account.holes.missingCount);
  yield* writeMissing(writer.raw(',"missing":'), account);
  writer.raw(',"skipped_count":').integer(account.holes.skippedCount);
  writeUsual(writer, account);
  yield* writeIrregular(writer.raw(',"irregular":'), account);
  writer.raw(',"point_count":').integer(account.pointCount).raw(',"null_count":').integer(account.nullCount);
  writer.raw(',"first_stored_at":').value(isoOfMicros(account.firstStoredMicros));
  writer.raw(',"last_changed_at":').value(isoOfMicros(account.lastChangedMicros));
  writer.raw(',"replaced_count":').integer(account.replacedCount);
}

/** Writes at least `countMin` hashes. @throws ApiError 404 for fewer: chunks are only removed together with their stream */
async function* writeHashes(writer: JsonWriter, read: LedgerRead, channel: ChannelName, countMin: number): Pieces {
  let count = 0;
  writer.raw('[');
  for (let after = -1, isLast = false; !isLast; ) {
    const page = await read.hashesAfter(channel, after);
    count += page.length;
    for (const { chunkIndex, contentHash } of page) {
      writer.raw(after < 0 ? '{"chunk_index":' : ',{"chunk_index":').integer(chunkIndex);
      writer.raw(`,"content_hash":"${contentHash}"}`);
      after = chunkIndex;
      if (writer.isFull) yield writer.take();
    }
    isLast = page.length < read.pageChunksMax;
  }
  if (count < countMin) throw notFound('data_id');
  writer.raw(']');
}
