import { createHash } from 'node:crypto';
import { isoOfMicros } from '../lib/date-time.ts';
import { JsonWriter, type Pieces, pieceBytes } from '../lib/json-writer.ts';
import { writeIrregular, writeMissing, writeUsual } from './account-lists.ts';
import type { ChannelAccount } from './channel-account.ts';
import type { LedgerRead } from './ledger-read.ts';
import type { StreamFacts } from './store.ts';

/**
 * What a stream holds and what it lacks, with a root hash over the channels. Each channel is read in a snapshot of its own,
 * and the root hash is over exactly what is shown. The channels must come in the order of the UTF-8 bytes of their names.
 */
export async function* certificateAnswer({ stream, channels, accountOf }: LedgerRead): Pieces {
  const writer = new JsonWriter(pieceBytes);
  const root = createHash('sha256');
  const sums = { chunks: 0, missing: 0, skipped: 0, irregular: 0, points: 0, nulls: 0, late: 0 };
  writeStream(writer, stream);
  writer.raw(',"channels":[');
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
    writer.raw(i === 0 ? '{"channel_name":' : ',{"channel_name":').value(channel.channel_name);
    yield* writeChannel(writer, account);
    writer.raw(`,"channel_hash":"${channelHash.toString('hex')}"}`);
    if (writer.isFull) yield writer.take();
  }
  writer.raw('],"channel_count":').integer(channels.length).raw(',"chunk_count":').integer(sums.chunks);
  writer.raw(',"missing_count":').integer(sums.missing).raw(',"skipped_count":').integer(sums.skipped);
  writer.raw(',"irregular_count":').integer(sums.irregular);
  writer.raw(',"point_count":').integer(sums.points).raw(',"null_count":').integer(sums.nulls);
  writer.raw(',"late_chunk_count":').integer(sums.late);
  yield writer.raw(`,"root_hash":"${root.digest('hex')}"}`).take();
}

function writeStream(writer: JsonWriter, { read_at, ...facts }: StreamFacts): void {
  const text = JSON.stringify({ ...facts, certified_at: read_at });
  writer.raw(text.slice(0, -1));
}

/** Writes the fields of a channel between its name and its hash. */
function* writeChannel(writer: JsonWriter, account: ChannelAccount): Generator<Buffer, void, void> {
  writer.raw(',"chunk_count":').integer(account.chunkCount);
  writer.raw(',"highest_chunk_index":').integer(account.holes.highestIndex);
  writer.raw(',"missing_count":').integer(account.holes.missingCount);
  yield* writeMissing(writer.raw(',"missing":'), account);
  writer.raw(',"skipped_count":').integer(account.holes.skippedCount);
  writeUsual(writer, account);
  writer.raw(',"irregular_count":').integer(account.irregular.chunkCount);
  yield* writeIrregular(writer.raw(',"irregular":'), account);
  writer.raw(',"point_count":').integer(account.pointCount).raw(',"null_count":').integer(account.nullCount);
  writer.raw(',"time_min":').float(account.timeMin ?? Number.NaN);
  writer.raw(',"time_max":').float(account.timeMax ?? Number.NaN);
  writer.raw(`,"ascending":${account.ascending},"units":`).value(account.units);
  writer.raw(',"units_changes":').integer(account.unitsChanges);
  const { lateChunkCount, lastLateMicros } = account;
  writer.raw(',"late_chunk_count":').integer(lateChunkCount);
  writer.raw(',"last_late_at":').value(lastLateMicros === null ? null : isoOfMicros(lastLateMicros));
}

/** A name with its length in front, so that two different lists of names never give the same bytes. */
function named(name: string): Buffer {
  const bytes = Buffer.from(name, 'utf8');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
