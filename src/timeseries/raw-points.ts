import type { Database } from '../database/database.ts';
import { notFound } from '../errors.ts';
import { JsonWriter, type Pieces, pieceBytes, writeFloats } from '../lib/json-writer.ts';
import { type ChunkPlan, pagesOf } from './chunk-plan.ts';
import { planByIndex } from './plan-store.ts';
import { type ChannelHead, findStream, listChannels, readStoredChunks, type StreamHead } from './store.ts';
import { boundsFor } from './stream-read.ts';

/** The chunks of one channel that a raw read wants. */
export interface RawRead {
  stream: StreamHead;
  channel: ChannelHead;
  plan: ChunkPlan;
  fetch(chunkIndexes: readonly number[]): ReturnType<typeof readStoredChunks>;
}

/** @throws ApiError 404 for an unknown or foreign stream and for a channel that it does not have */
export async function openRawRead(
  database: Database,
  organizationId: string,
  dataId: string,
  { channel: name, from_chunk, to_chunk }: { channel: string; from_chunk?: number; to_chunk?: number },
): Promise<RawRead> {
  const stream = await findStream(database, organizationId, dataId);
  const channels = await listChannels(database, organizationId, stream.data_id);
  const channel = channels.find(({ channel_name }) => channel_name === name);
  if (channel === undefined) throw notFound('channel');
  const address = { dataId: stream.data_id, channelId: channel.channel_id };
  const range = { from: from_chunk ?? 0, to: to_chunk ?? Number.MAX_SAFE_INTEGER };
  return {
    stream,
    channel,
    plan: await planByIndex(database, organizationId, address, range),
    fetch: (chunkIndexes) => readStoredChunks(database, organizationId, address, chunkIndexes),
  };
}

/**
 * The stored float64 of a channel in chunk order, as they were sent: not collapsed, not sorted, not rounded. A chunk that
 * is replaced meanwhile is shown as it is when its page is fetched.
 */
export async function* rawAnswer({ stream, channel, plan, fetch }: RawRead): Pieces {
  const writer = new JsonWriter(pieceBytes);
  writer.raw('{"data_id":').value(stream.data_id).raw(',"channel_name":').value(channel.channel_name);
  writer.raw(',"units":').value(channel.units).raw(',"points_per_chunk":').integer(stream.points_per_chunk);
  writer.raw(',"point_count":').integer(channel.point_count).raw(',"chunks":[');
  let separator = '';
  for (const page of pagesOf(plan, pagePointsMax)) {
    const chunks = await fetch(page);
    // Chunks go with their stream only.
    if (chunks.length !== page.length) throw notFound('data_id');
    for (const chunk of chunks) {
      writer.raw(separator).raw('{"chunk_index":').integer(chunk.chunkIndex);
      writer.raw(',"start_offset":').integer(chunk.startOffset).raw(',"units":').value(chunk.units);
      yield* writeFloats(writer.raw(',"timestamps":'), chunk.timestamps);
      yield* writeFloats(writer.raw(',"values":'), chunk.values);
      writer.raw('}');
      separator = ',';
    }
  }
  yield writer.raw(']}').take();
}

const { pagePointsMax } = boundsFor(1);
