import type { Static } from '@sinclair/typebox';
import type { OrganizationDatabase } from '../database/organizations.ts';
import { invalid, notFound } from '../errors.ts';
import { fieldBytes } from '../lib/json-fields.ts';
import { JsonWriter, type Pieces, pieceBytes, writeFloats } from '../lib/json-writer.ts';
import type { Reading } from '../lib/reading.ts';
import type { PointLimits } from '../points/limits.ts';
import type { Batches, StoredPoints } from '../points/points.ts';
import { openNewestStored, openStored, openStoredBefore } from '../points/read.ts';
import { PointsAnswer, type PointsQuery } from './schemas.ts';
import { type ChannelHead, findStream, listReadChannels, type StreamHead } from './store.ts';

/** A raw read of the chunks of one channel. */
export interface RawRead {
  stream: StreamHead;
  channel: ChannelHead;
  chunks: Batches<StoredPoints>;
}

/** @throws ApiError 404 for an unknown or foreign stream and for a channel that it does not have, 422 for carry_in with last_n */
export async function openRawRead(
  organization: OrganizationDatabase,
  dataId: string,
  { channel: name, from_chunk, to_chunk, last_n, carry_in = false }: Static<typeof PointsQuery>,
  limits: PointLimits,
  reading: Reading,
): Promise<RawRead> {
  if (carry_in && last_n !== undefined) {
    throw invalid(
      ['query', 'carry_in'],
      'carry_in and last_n do not go together here: ask for one point more',
      carry_in,
    );
  }
  const stream = await findStream(organization, dataId);
  const channels = await listReadChannels(organization, stream.data_id);
  const channel = channels.find(({ channel_name }) => channel_name === name);
  if (channel === undefined) throw notFound('channel');
  const range = { from: from_chunk ?? 0, to: to_chunk ?? Number.MAX_SAFE_INTEGER };
  const deps = { organization, limits, reading };
  const chunks =
    last_n === undefined ? await openStored(deps, channel, range) : openNewestStored(deps, channel, range, last_n);
  if (!carry_in) return { stream, channel, chunks };
  return { stream, channel, chunks: oneAfterAnother(openStoredBefore(deps, channel, range.from), chunks) };
}

async function* oneAfterAnother(...reads: Batches<StoredPoints>[]): Batches<StoredPoints> {
  for (const read of reads) yield* read;
}

const fields = fieldBytes(PointsAnswer);
const chunk = fieldBytes(PointsAnswer.properties.chunks.items);

/** Writes the stored float64 of a channel in order of chunks, as they were sent. */
export async function* rawAnswer({ stream, channel, chunks }: RawRead): Pieces {
  const writer = new JsonWriter(pieceBytes);
  writer.bytes(fields.data_id).value(stream.data_id).bytes(fields.channel_name).value(channel.channel_name);
  writer.bytes(fields.units).value(channel.units).bytes(fields.points_per_chunk).integer(stream.points_per_chunk);
  writer.bytes(fields.point_count).integer(channel.point_count).bytes(fields.chunks).raw('[');
  let separator = '';
  for await (const { chunkIndex, startOffset, units, times, values, isCarriedIn } of chunks) {
    writer.raw(separator).bytes(chunk.chunk_index).integer(chunkIndex);
    writer.bytes(chunk.start_offset).integer(startOffset).bytes(chunk.units).value(units);
    yield* writeFloats(writer.bytes(chunk.timestamps), times);
    yield* writeFloats(writer.bytes(chunk.values), values);
    if (isCarriedIn) writer.bytes(chunk.carried_in).raw('true');
    writer.raw('}');
    separator = ',';
  }
  yield writer.raw(']}').take();
}
