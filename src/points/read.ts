import { GrowingBytes } from '../lib/growing-bytes.ts';
import { planChannelPoints } from './channel-points.ts';
import type { FetchChunks } from './channel-source.ts';
import { type ChannelStatistics, readStatistics } from './channel-statistics.ts';
import type { ChunkPlan } from './chunk-plan.ts';
import { largestChunkBytes, requireFewChannels, requireFewChunks, requireFewPoints } from './footprint.ts';
import type { PointLimits } from './limits.ts';
import { mergeChannels } from './merge-channels.ts';
import { fetchPage, nextPage } from './pages.ts';
import { listHighest, listNeighbours, planByIndex } from './plan-store.ts';
import type { PlannedRead } from './planned-read.ts';
import type { Batches, ChannelsPoints, OpenRead, PointRead, StoredPoints } from './points.ts';
import type { Selection, Wanted } from './selection.ts';
import { storedChunkReader } from './series-store.ts';
import { type ChannelRow, channelAddressOf, type ReadDependencies, sourceOf } from './stored-channel.ts';
import { msRangeOf } from './window.ts';

export { type ChannelsInTurn, openChannel, openInTurn } from './open-in-turn.ts';
export type { ChannelRow, ChannelStatistics, ReadDependencies };

/*
 * The one way to stored points. Other rooms also import selections, times, statistics and blocks of overviews, but nothing else
 * that reads. Rooms that write answers open here what they want to read, and consume batches of
 * points in one of three orders: by time, by time and channel, or as they are stored.
 */

/** Several channels, merged and each by itself. */
export interface OpenChannels extends OpenRead<ChannelsPoints> {
  /** In the order in which the channels were asked for. Read one at a time. */
  each: PointRead[];
}

/**
 * Opens several channels side by side: ordered by time, points of one time together. Each channel is read in its own pages,
 * and its share of the memory shrinks with the number of channels. Close it before
 * something else is opened: a second read may otherwise wait for ever for the memory of this one.
 * @throws ApiError 404 when their stream is being removed, 422 for more channels, points or chunks than rows may have
 */
export function openChannels(
  deps: ReadDependencies,
  channels: readonly ChannelRow[],
  wanted: Wanted,
): Promise<OpenChannels> {
  const { reading, limits } = deps;
  requireFewChannels(channels.length, limits);
  return reading.plan(async () => {
    const shared = shareOf(limits, channels.length);
    const image = new GrowingBytes();
    const each: PlannedRead[] = [];
    let { keptPointsMax } = limits;
    const held = { chunks: 0, points: 0, bytes: channels.length * laneBytes, passingBytes: 0 };
    for (const channel of channels) {
      const read = await planChannelPoints(sourceOf(deps, channel, image), wanted, { ...limits, keptPointsMax });
      each.push(read);
      keptPointsMax -= read.keptPoints ?? 0;
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

/**
 * The statistics of all readings of a channel in a window.
 * @throws ApiError 404 when its stream is being removed, 422 for more chunks than a read may go through
 */
export function readChannelStatistics(
  deps: ReadDependencies,
  channel: ChannelRow,
  window: Pick<Selection, 'startMs' | 'endMs'>,
): Promise<ChannelStatistics> {
  const source = sourceOf(deps, channel, new GrowingBytes());
  return deps.reading.plan(() => readStatistics(source, msRangeOf(window, 0), deps.limits));
}

/** Bytes for each channel that is read side by side with others, besides its points. */
const laneBytes = 8_192;

/**
 * The last point of the nearest stored chunk below an index, as a chunk with `isCarriedIn`. Empty where there is none.
 * @throws ApiError 404 when the stream is being removed
 */
export async function* openStoredBefore(
  deps: ReadDependencies,
  channel: Pick<ChannelRow, 'data_id' | 'channel_id'>,
  chunkIndex: number,
): Batches<StoredPoints> {
  const { below } = await listNeighbours(deps.organization, channelAddressOf(channel), { below: [chunkIndex] });
  const [row] = below;
  // listNeighbours gives no row where the direct neighbour is stored.
  const nearest = row === undefined ? chunkIndex - 1 : row.neighbour_index;
  if (nearest === null || nearest < 0) return;
  for await (const chunk of await openStored(deps, channel, { from: nearest, to: nearest })) {
    yield { ...withoutFirst(chunk, chunk.times.length - 1), isCarriedIn: true };
  }
}

/**
 * The newest points of one channel by their position, whatever their timestamps are: the last `count` points of the highest
 * chunk indexes, in order of index, as they are stored. Of the first chunk usually only the last points are given.
 * @throws ApiError 404 when the stream is being removed
 */
export async function* openNewestStored(
  deps: ReadDependencies,
  channel: ChannelRow,
  chunks: { from: number; to: number },
  count: number,
): Batches<StoredPoints> {
  const { from, points } = await findNewestStored(deps, channel, chunks, count);
  let skipped = Math.max(0, points - count);
  for await (const chunk of await openStored(deps, channel, { from, to: chunks.to })) {
    yield skipped === 0 ? chunk : withoutFirst(chunk, skipped);
    skipped = 0;
  }
}

/**
 * Finds the chunk from which on there are `count` points, or as many as there are. It looks only at the chunks of these
 * points.
 */
async function findNewestStored(
  { organization, limits }: ReadDependencies,
  channel: ChannelRow,
  { from, to }: { from: number; to: number },
  count: number,
): Promise<{ from: number; points: number }> {
  // Where nothing is found, `from` is the last index, so that the read that follows has no chunk.
  const found = { from: to, points: 0 };
  for (let before = to + 1; ; before = found.from) {
    const wanted = Math.ceil(((count - found.points) * channel.chunk_count) / channel.point_count);
    const chunksMax = Math.min(Math.max(wanted, 1), limits.planPageChunksMax);
    const page = await listHighest(organization, channelAddressOf(channel), { from, to: before - 1 }, chunksMax);
    for (const { chunk_index, point_count } of page) {
      found.from = chunk_index;
      found.points += point_count;
      if (found.points >= count) return found;
    }
    if (page.length < chunksMax) return found;
  }
}

/** A chunk without its first points. */
const withoutFirst = (chunk: StoredPoints, skipped: number): StoredPoints => ({
  ...chunk,
  startOffset: chunk.startOffset + skipped,
  times: chunk.times.slice(skipped),
  values: chunk.values.slice(skipped),
});

/**
 * The chunks of one channel, in order of index, as they are stored: not collapsed, not sorted, not rounded. A chunk that is
 * replaced meanwhile is read as it is when its page is fetched. A chunk that arrives meanwhile may be part of the answer.
 * @param chunks indexes, both included
 * @throws ApiError 404 when the stream is being removed
 */
export async function openStored(
  deps: ReadDependencies,
  channel: Pick<ChannelRow, 'data_id' | 'channel_id'>,
  chunks: { from: number; to: number } = { from: 0, to: Number.MAX_SAFE_INTEGER },
): Promise<Batches<StoredPoints>> {
  const { organization, limits, reading } = deps;
  const address = channelAddressOf(channel);
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
      yield* readPlanned(deps, plan, fetch);
      if (plan.length < limits.planPageChunksMax) return;
      plan = await planFrom((plan.chunkIndexes[plan.length - 1] as number) + 1);
    }
  })();
}

async function* readPlanned(
  { limits, reading }: ReadDependencies,
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

/** The limits of each of several channels that share the memory of one read. */
function shareOf(limits: PointLimits, channelCount: number): PointLimits {
  const share = (points: number) =>
    Math.max(Math.floor(points / Math.max(1, channelCount)), Math.min(points, limits.sharePointsMin));
  return {
    ...limits,
    pagePointsMax: share(limits.pagePointsMax),
    seriesPagePointsMax: share(limits.seriesPagePointsMax),
    bufferPointsMax: share(limits.bufferPointsMax),
  };
}
