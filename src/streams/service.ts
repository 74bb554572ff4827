import type { Identity } from '../auth/store.ts';
import { limits } from '../config.ts';
import { type Database, inTransaction } from '../database/database.ts';
import { ApiError, invalid, notFound } from '../errors.ts';
import type { Metrics } from '../http/metrics.ts';
import { type ChannelReadings, type ChunkImage, toChunkImage } from './chunk-image.ts';
import type { ChunkReceipt, InitializeBody, StreamIds } from './schemas.ts';
import {
  addToChannels,
  type ChannelGrowth,
  finalizeStream,
  findLinks,
  insertChannels,
  insertStream,
  lockChannels,
  readAddresses,
  readStoredChunks,
  recountChannels,
  type StoredChunk,
  upsertChunks,
} from './store.ts';

/*
 * What ingest guarantees:
 * - A receipt is returned after the commit that holds the chunk. All channels of one call are stored, or none.
 * - A chunk is addressed by (data_id, channel, chunk_index): the same content again changes nothing and writes nothing;
 *   other content replaces the same slice. Counters are exact, whoever writes at the same time.
 * - Writers lock the channels of a call in the order of their ids before they look at its chunks, so they neither
 *   deadlock nor decide on what another has just changed.
 */
export interface StreamService {
  /** Opens a stream. 404 when the instrument, sample or project is not one of the organization's. */
  initialize(identity: Identity, body: InitializeBody): Promise<StreamIds>;
  /**
   * Stores the chunks of one index, one of each named channel, and returns their receipts in the order given.
   * 404 for an unknown stream, 409 for a new chunk after the grace of a finalized one, 422 naming the channel whose
   * lengths differ or whose offset is no exact integer.
   */
  ingest(
    identity: Identity,
    dataId: string,
    chunkIndex: number,
    channels: [string, ChannelReadings][],
  ): Promise<ChunkReceipt[]>;
  /** Closes a stream; again is the same. 404 for an unknown one. */
  finalize(identity: Identity, dataId: string): Promise<StreamIds>;
}

interface Options {
  database: Database;
  metrics: Pick<Metrics, 'chunks' | 'points'>;
  graceSeconds: number;
}

type Outcome = 'created' | 'unchanged' | 'replaced';

/** A chunk on its way: its channel, its image and the totals after it. */
interface Arrival {
  channelName: string;
  image: ChunkImage;
}

export function createStreamService({ database, metrics, graceSeconds }: Options): StreamService {
  return {
    async initialize(identity, body) {
      const { organizationId, userId } = identity;
      await checkLinks(database, organizationId, body);
      return insertStream(database, organizationId, { ...body, user_id: userId, stream_name: streamName(body) });
    },

    async ingest(identity, dataId, chunkIndex, channels) {
      const arrivals = channels.map(([channelName, readings]) => toArrival(channelName, readings, channels.length > 1));
      const { organizationId } = identity;
      const address = { organizationId, dataId: dataId.toLowerCase(), chunkIndex, graceSeconds };
      const stored = await store(database, identity.keyId, address, arrivals);
      return arrivals.map(({ channelName, image }) => {
        const { outcome, totalPoints } = stored.get(channelName) as Stored;
        metrics.chunks.inc({ outcome });
        if (outcome !== 'unchanged') metrics.points.inc(image.pointCount);
        return {
          data_id: address.dataId,
          channel_name: channelName,
          chunk_index: chunkIndex,
          total_points: totalPoints,
        };
      });
    },

    async finalize({ organizationId }, dataId) {
      const ids = await finalizeStream(database, organizationId, dataId);
      if (ids === undefined) throw notFound('Stream');
      return ids;
    },
  };
}

async function checkLinks(database: Database, organizationId: string, body: InitializeBody): Promise<void> {
  const found = await findLinks(database, organizationId, body);
  if (body.synth_source_id != null && !found.instrument) throw notFound('Growth instrument');
  if (body.physical_sample_id != null && !found.sample) throw notFound('Physical sample');
  if (body.project_id != null && !found.project) throw notFound('Project');
}

function streamName(body: InitializeBody): string {
  if (body.stream_name?.trim()) return body.stream_name;
  return `Stream ${new Date().toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

function toArrival(channelName: string, readings: ChannelReadings, isMulti: boolean): Arrival {
  const { timestamps, values } = readings;
  if (timestamps.length !== values.length) {
    throw invalid(
      isMulti ? ['body', 'channels', channelName] : ['body', 'values'],
      `channel "${channelName}": ${timestamps.length} timestamps but ${values.length} values`,
    );
  }
  return { channelName, image: toChunkImage(readings) };
}

interface Address {
  organizationId: string;
  dataId: string;
  chunkIndex: number;
  graceSeconds: number;
}

interface Stored {
  outcome: Outcome;
  totalPoints: number;
}

/** A plain read settles replays; only what is new or different takes locks and a transaction. */
async function store(database: Database, keyId: number, address: Address, arrivals: Arrival[]) {
  const names = arrivals.map((arrival) => arrival.channelName);
  const stream = await readAddresses(database, address, names);
  if (stream === undefined) throw notFound('Stream');
  checkOffsets(address.chunkIndex, stream.pointsPerChunk, arrivals);
  const differing = arrivals
    .filter(({ channelName, image }) => !stream.channels.get(channelName)?.contentHash?.equals(image.contentHash))
    .map(({ channelName }) => channelName);
  if (differing.length === 0) {
    return new Map<string, Stored>(
      [...stream.channels].map(([name, { pointCount }]) => [name, { outcome: 'unchanged', totalPoints: pointCount }]),
    );
  }
  if (stream.closed) throw closedError(differing);
  const unknown = names.filter((name) => !stream.channels.has(name));
  if (unknown.length > 0) await insertChannels(database, address, unknown);
  return write(database, keyId, address, stream.pointsPerChunk, arrivals);
}

function checkOffsets(chunkIndex: number, pointsPerChunk: number, arrivals: Arrival[]): void {
  const longest = Math.max(...arrivals.map(({ image }) => image.pointCount));
  if (chunkIndex * pointsPerChunk + longest <= limits.offsetMax) return;
  throw invalid(
    ['body', 'chunk_index'],
    `chunk_index × points_per_chunk (${pointsPerChunk}) must keep array offsets within ${limits.offsetMax}`,
    chunkIndex,
  );
}

/** The transaction: lock the channels, see what stands there, write what differs, correct the counters. */
async function write(
  database: Database,
  keyId: number,
  address: Address,
  pointsPerChunk: number,
  arrivals: Arrival[],
): Promise<Map<string, Stored>> {
  return inTransaction(database.pool, async (client) => {
    const names = arrivals.map((arrival) => arrival.channelName);
    const { closed, channels } = await lockChannels(client, address, names);
    const standing = await readStoredChunks(client, address, [...channels.values()]);
    const settled = arrivals.map((arrival) => settle(arrival, channels, standing));
    const changed = settled.filter(({ outcome }) => outcome !== 'unchanged');
    if (closed && changed.length > 0) throw closedError(changed.map(({ channelName }) => channelName));
    if (changed.length > 0) {
      await upsertChunks(client, address, pointsPerChunk, keyId, changed);
      for (const { channelId, pointCount } of await addToChannels(client, address, changed.map(toGrowth))) {
        const one = settled.find((candidate) => candidate.channelId === channelId);
        if (one) one.totalPoints = pointCount;
      }
      const shrunk = changed.filter(mayShrinkSpan).map(({ channelId }) => channelId);
      if (shrunk.length > 0) await recountChannels(client, address, shrunk);
    }
    return new Map(settled.map((one) => [one.channelName, one]));
  });
}

interface Settled extends Arrival, Stored {
  channelId: number;
  before: StoredChunk | undefined;
}

function settle(arrival: Arrival, channels: Map<string, number>, standing: Map<number, StoredChunk>): Settled {
  const channelId = channels.get(arrival.channelName);
  // The stream was there a moment ago and channels are never deleted without it.
  if (channelId === undefined) throw notFound('Stream');
  const before = standing.get(channelId);
  const isSame = before?.contentHash.equals(arrival.image.contentHash);
  const outcome = before === undefined ? 'created' : isSame ? 'unchanged' : 'replaced';
  return { ...arrival, channelId, before, outcome, totalPoints: before?.channelPointCount ?? 0 };
}

function closedError(channelNames: string[]): ApiError {
  return new ApiError(
    'conflict',
    `The stream is finalized and the grace for late chunks is over (FINALIZE_GRACE_SECONDS); ` +
      `nothing was stored of channel ${channelNames.map((name) => `"${name}"`).join(', ')}.`,
  );
}

function toGrowth({ channelId, image, before }: Settled): ChannelGrowth {
  return {
    channelId,
    chunks: before === undefined ? 1 : 0,
    points: image.pointCount - (before?.pointCount ?? 0),
    nulls: image.nullCount - (before?.nullCount ?? 0),
    timeMin: image.timeMin,
    timeMax: image.timeMax,
    units: image.units,
  };
}

/** Whether what was replaced may have held the first or last time of its channel, or its unit. */
function mayShrinkSpan({ image, before }: Settled): boolean {
  if (before === undefined) return false;
  const startsLater = before.timeMin !== null && (image.timeMin === null || image.timeMin > before.timeMin);
  const endsEarlier = before.timeMax !== null && (image.timeMax === null || image.timeMax < before.timeMax);
  return (
    (startsLater && before.timeMin === before.channelTimeMin) ||
    (endsEarlier && before.timeMax === before.channelTimeMax) ||
    (Boolean(before.units) && !image.units)
  );
}
