import type { ChannelAddress } from '../database/channel-address.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';
import { GrowingBytes } from '../lib/growing-bytes.ts';
import type { Reading } from '../lib/reading.ts';
import { type PlannedRead, planChannelPoints } from './channel-points.ts';
import type { ChannelSource, FetchChunks } from './channel-source.ts';
import type { ChunkPlan } from './chunk-plan.ts';
import { chunkReader, storedChunkReader } from './chunk-store.ts';
import { largestChunkBytes, requireFewChannels, requireFewChunks, requireFewPoints } from './footprint.ts';
import type { PointLimits } from './limits.ts';
import { mergeChannels } from './merge-channels.ts';
import { fetchPage, nextPage } from './pages.ts';
import { listNeighbours, listNewest, planByIndex, planByTime, planWithSummaries } from './plan-store.ts';
import type { Batches, ChannelsPoints, OpenRead, PointRead, StoredPoints } from './points.ts';
import type { Wanted } from './selection.ts';

/*
 * The way into the read engine. Whoever writes an answer opens what it wants to read here, and consumes what comes: batches
 * of points, in one of three orders.
 */

/** What points are read with, and for whom. */
export interface ReadMeans {
  organization: OrganizationDatabase;
  limits: PointLimits;
  reading: Reading;
}

/** The row of a channel, as far as reading its points needs it. */
export interface ChannelRow {
  data_id: string;
  channel_id: number;
  chunk_count: number;
  point_count: number;
}

/**
 * The points of one channel, in order of time. Close it before the next is opened.
 * @throws ApiError 404 when its stream is being removed, 422 for more chunks than a read may go through
 */
export function openChannel(means: ReadMeans, channel: ChannelRow, wanted: Wanted): Promise<OpenRead> {
  const { reading, limits } = means;
  return reading.plan(async () => {
    const read = await planChannelPoints(sourceOf(means, channel, new GrowingBytes()), wanted, limits);
    const { bytes, passingBytes } = read.footprint(limits);
    return { ...read, close: await reading.enlarge(bytes + passingBytes - limits.usualBytesMax) };
  });
}

/** Several channels, side by side and each by itself. */
export interface OpenChannels extends OpenRead<ChannelsPoints> {
  /** In the order in which they were asked for. One is read at a time. */
  each: PointRead[];
}

/**
 * The points of several channels side by side: by time, those of one time together. Each channel is read by pages of its
 * own, and their share of the memory is smaller the more there are. Close it before something else is opened.
 * @throws ApiError 404 when their stream is being removed, 422 for more channels, points or chunks than rows may have
 */
export function openChannels(means: ReadMeans, channels: readonly ChannelRow[], wanted: Wanted): Promise<OpenChannels> {
  const { reading, limits } = means;
  requireFewChannels(channels.length, limits);
  return reading.plan(async () => {
    const shared = shareOf(limits, channels.length);
    const image = new GrowingBytes();
    const each: PlannedRead[] = [];
    const held = { chunks: 0, points: 0, bytes: channels.length * laneBytes, passingBytes: 0 };
    for (const channel of channels) {
      const read = await planChannelPoints(sourceOf(means, channel, image), wanted, limits);
      each.push(read);
      const { chunks, points, bytes, passingBytes } = read.footprint(shared);
      held.chunks += chunks;
      held.points += points;
      held.bytes += bytes;
      held.passingBytes = Math.max(held.passingBytes, passingBytes);
      requireFewChunks(held.chunks, limits);
    }
    requireFewPoints(held.points, channels.length, limits);
    const close = await reading.enlarge(held.bytes + held.passingBytes - limits.usualBytesMax);
    const batches: OpenChannels['batches'] = (options) =>
      mergeChannels(
        each.map((read) => read.batches({ ...options, limits: shared })),
        limits.mergedPointsMax,
        reading.rest,
      );
    return { each, gaps: [], batches, close };
  });
}

/** What a channel takes that is read beside others, but for its points. */
const laneBytes = 8_192;

/**
 * The chunks of one channel, in order of index, as they are stored: not collapsed, not sorted, not rounded. A chunk that is
 * replaced meanwhile is shown as it is when its page is fetched; one that arrives meanwhile may be part of it.
 * @param chunks indexes, both included
 * @throws ApiError 404 when the stream is being removed
 */
export async function openStored(
  means: ReadMeans,
  channel: Pick<ChannelRow, 'data_id' | 'channel_id'>,
  chunks: { from: number; to: number } = { from: 0, to: Number.MAX_SAFE_INTEGER },
): Promise<Batches<StoredPoints>> {
  const { organization, limits, reading } = means;
  const address = addressOf(channel);
  const planFrom = (from: number) =>
    planByIndex(
      organization,
      address,
      { from, to: chunks.to },
      {
        rest: reading.rest,
        chunksMax: limits.planPageChunksMax,
      },
    );
  const fetch = storedChunkReader(organization, address, { image: new GrowingBytes(), rest: reading.rest });
  let plan = await planFrom(chunks.from);
  return (async function* () {
    for (;;) {
      yield* readPlanned(means, plan, fetch);
      if (plan.length < limits.planPageChunksMax) return;
      plan = await planFrom((plan.chunkIndexes[plan.length - 1] as number) + 1);
    }
  })();
}

async function* readPlanned(
  { limits, reading }: ReadMeans,
  plan: ChunkPlan,
  fetch: FetchChunks<StoredPoints>,
): Batches<StoredPoints> {
  const give = await reading.enlarge(largestChunkBytes(plan) - limits.usualBytesMax);
  try {
    for (let from = 0; from < plan.length; ) {
      const page = nextPage(plan, from, limits, () => true);
      yield* await fetchPage(fetch, plan, page, true);
      from = page.next;
    }
  } finally {
    give();
  }
}

/** Every statement by which a channel is read by time. */
function sourceOf(
  { organization, reading, limits }: ReadMeans,
  channel: ChannelRow,
  image: GrowingBytes,
): ChannelSource {
  const address = addressOf(channel);
  const { rest } = reading;
  const planning = { rest, chunksMax: limits.plannedChunksMax };
  return {
    chunkCount: channel.chunk_count,
    pointCount: channel.point_count,
    plan: (range) => planByTime(organization, address, range, planning),
    planWithSummaries: (range) => planWithSummaries(organization, address, range, planning),
    listNewest: (before, chunksMax) => listNewest(organization, address, before, chunksMax),
    listNeighbours: (indexes, side) => listNeighbours(organization, address, indexes, side),
    fetch: chunkReader(organization, address, { image, rest }),
    rest,
  };
}

const addressOf = ({ data_id, channel_id }: Pick<ChannelRow, 'data_id' | 'channel_id'>): ChannelAddress => ({
  dataId: data_id,
  channelId: channel_id,
});

/** What each of several channels that are read at once may take of the memory of a read. */
function shareOf(limits: PointLimits, channelCount: number): PointLimits {
  const share = (points: number) =>
    Math.max(Math.floor(points / Math.max(1, channelCount)), Math.min(points, limits.sharePointsMin));
  return {
    ...limits,
    pagePointsMax: share(limits.pagePointsMax),
    bufferPointsMax: share(limits.bufferPointsMax),
  };
}
