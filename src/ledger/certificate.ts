import { createHash } from 'node:crypto';
import type { Static } from '@sinclair/typebox';
import { isoOfMicros } from '../lib/date-time.ts';
import { fieldBytes } from '../lib/json-fields.ts';
import { JsonWriter, type Pieces, pieceBytes } from '../lib/json-writer.ts';
import { writeIrregular, writeMissing, writeUsual } from './account-lists.ts';
import type { ChannelAccount } from './channel-account.ts';
import type { LedgerRead } from './ledger-read.ts';
import { CertificateAnswer } from './schemas.ts';
import type { StreamFacts } from './store.ts';

const fields = fieldBytes(CertificateAnswer);
const ofChannel = fieldBytes(CertificateAnswer.properties.channels.items);

/**
 * What a stream holds and what it lacks, with a root hash over the channels. Each channel is read in a snapshot of its own,
 * and the root hash is over exactly what is shown. The channels must come in the order of the UTF-8 bytes of their names.
 */
export async function* certificateAnswer({ stream, channels, accountOf }: LedgerRead): Pieces {
  const writer = new JsonWriter(pieceBytes);
  const root = createHash('sha256');
  const sums = { chunks: 0, missing: 0, skipped: 0, irregular: 0, points: 0, nulls: 0, late: 0 };
  writeStream(writer, stream);
  writer.bytes(fields.channels).raw('[');
  for (const [i, channel] of channels.entries()) {
    const account = await accountOf(channel);
    const channelHash = account.digest();
    root.update(named(channel.channel_name)).update(channelHash);
    sums.chunks += account.chunkCount;
    sums.missing += account.holes.missingCount;
    sums.skipped += account.holes.skippedCount;
    sums.irregular += account.irregular.chunkCount;
    sums.points += account.pointCount;
    sums.nulls += account.nullCount;
    sums.late += account.lateChunkCount;
    if (i > 0) writer.raw(',');
    writer.bytes(ofChannel.channel_name).value(channel.channel_name);
    yield* writeChannel(writer, account);
    writer.bytes(ofChannel.channel_hash).value(channelHash.toString('hex')).raw('}');
    if (writer.isFull) yield writer.take();
  }
  writer.raw(']').bytes(fields.channel_count).integer(channels.length).bytes(fields.chunk_count).integer(sums.chunks);
  writer.bytes(fields.missing_count).integer(sums.missing).bytes(fields.skipped_count).integer(sums.skipped);
  writer.bytes(fields.irregular_count).integer(sums.irregular);
  writer.bytes(fields.point_count).integer(sums.points).bytes(fields.null_count).integer(sums.nulls);
  writer.bytes(fields.late_chunk_count).integer(sums.late);
  yield writer.bytes(fields.root_hash).value(root.digest('hex')).raw('}').take();
}

type CountName = Extract<keyof Static<typeof CertificateAnswer>, `${string}_count`>;

/** All before the channels, without the brace at the end. */
function writeStream(writer: JsonWriter, { read_at, ...facts }: StreamFacts): void {
  const head: Omit<Static<typeof CertificateAnswer>, 'channels' | 'root_hash' | CountName> = {
    ...facts,
    certified_at: read_at,
  };
  writer.raw(JSON.stringify(head).slice(0, -1));
}

/** Writes the fields of a channel between its name and its hash. */
function* writeChannel(writer: JsonWriter, account: ChannelAccount): Generator<Buffer, void, void> {
  writer.bytes(ofChannel.chunk_count).integer(account.chunkCount);
  writer.bytes(ofChannel.highest_chunk_index).integer(account.holes.highestIndex);
  writer.bytes(ofChannel.missing_count).integer(account.holes.missingCount);
  yield* writeMissing(writer.bytes(ofChannel.missing), account);
  writer.bytes(ofChannel.skipped_count).integer(account.holes.skippedCount);
  writeUsual(writer.bytes(ofChannel.usual_point_counts), account);
  writer.bytes(ofChannel.irregular_count).integer(account.irregular.chunkCount);
  yield* writeIrregular(writer.bytes(ofChannel.irregular), account);
  writer.bytes(ofChannel.point_count).integer(account.pointCount);
  writer.bytes(ofChannel.null_count).integer(account.nullCount);
  writer.bytes(ofChannel.time_min).float(account.timeMin ?? Number.NaN);
  writer.bytes(ofChannel.time_max).float(account.timeMax ?? Number.NaN);
  writer.bytes(ofChannel.ascending).value(account.ascending).bytes(ofChannel.units).value(account.units);
  writer.bytes(ofChannel.units_changes).integer(account.unitsChanges);
  const { lateChunkCount, lastLateMicros } = account;
  writer.bytes(ofChannel.late_chunk_count).integer(lateChunkCount);
  writer.bytes(ofChannel.last_late_at).value(lastLateMicros === null ? null : isoOfMicros(lastLateMicros));
}

/** A name with its length in front, so that two different lists of names never give the same bytes. */
function named(name: string): Buffer {
  const bytes = Buffer.from(name, 'utf8');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
