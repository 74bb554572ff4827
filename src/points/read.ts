import type { ChannelAddress } from '../database/channel-address.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';
import { openChannelPoints } from './channel-points.ts';
import type { ChannelSource } from './channel-source.ts';
import { chunkReader, readStoredChunks } from './chunk-store.ts';
import type { PointLimits } from './limits.ts';
import { mergeChannels } from './merge-channels.ts';
import { fetchPage, nextPage } from './pages.ts';
import { listNeighbours, listNewest, planByIndex, planByTime, planWithSummaries } from './plan-store.ts';
import type { Batches, ChannelsPoints, PointRead, StoredPoints } from './points.ts';
import type { Wanted } from './selection.ts';

/*
 * The way into the read engine. Whoever writes an answer opens what it wants to read here, and consumes what comes: batches
 * of points, in one of three orders.
 */

/** What points are read with, and for whom. */
export interface ReadMeans {
  organization: OrganizationDatabase;
  limits: PointLimits;
}

/** The row of a channel, as far as reading its points needs it. */
export interface ChannelRow {
  data_id: string;
  channel_id: number;
  chunk_count: number;
  point_count: number;
}

/** The points of one channel, in order of time. @throws ApiError 404 when its stream is being removed */
export function openChannel(means: ReadMeans, channel: ChannelRow, wanted: Wanted): Promise<PointRead> {
  return openChannelPoints(sourceOf(means, channel), wanted, means.limits);
}

/**
 * The points of several channels side by side: by time, those of one time together. Each channel is read by pages of its
 * own, and their share of the memory is smaller the more there are.
 * @throws ApiError 404 when their stream is being removed
 */
export async function openChannels(
  means: ReadMeans,
  channels: readonly ChannelRow[],
  wanted: Wanted,
): Promise<PointRead<ChannelsPoints>> {
  const limits = shareOf(means.limits, channels.length);
  const reads: PointRead[] = [];
  for (const channel of channels) reads.push(await openChannelPoints(sourceOf(means, channel), wanted, limits));
  return {
    gaps: [],
    batches: (options) =>
      mergeChannels(
        reads.map((read) => read.batches(options)),
        limits.mergedPointsMax,
      ),
  };
}

/**
 * The chunks of one channel, in order of index, as they are stored: not collapsed, not sorted, not rounded. A chunk that is
 * replaced meanwhile is shown as it is when its page is fetched; one that arrives meanwhile is not part of it.
 * @param chunks indexes, both included
 * @throws ApiError 404 when the stream is being removed
 */
export async function openStored(
  { organization, limits }: ReadMeans,
  channel: Pick<ChannelRow, 'data_id' | 'channel_id'>,
  chunks: { from: number; to: number } = { from: 0, to: Number.MAX_SAFE_INTEGER },
): Promise<Batches<StoredPoints>> {
  const address = addressOf(channel);
  const plan = await planByIndex(organization, address, chunks);
  const fetch = (indexes: readonly number[]) => readStoredChunks(organization, address, indexes);
  return (async function* () {
    for (let from = 0; from < plan.length; ) {
      const page = nextPage(plan, from, limits, () => true);
      yield* await fetchPage(fetch, plan, page, true);
      from = page.next;
    }
  })();
}

/** Every statement by which a channel is read by time. */
function sourceOf({ organization }: ReadMeans, channel: ChannelRow): ChannelSource {
  const address = addressOf(channel);
  return {
    chunkCount: channel.chunk_count,
    pointCount: channel.point_count,
    plan: (range) => planByTime(organization, address, range),
    planWithSummaries: (range) => planWithSummaries(organization, address, range),
    listNewest: (before, chunksMax) => listNewest(organization, address, before, chunksMax),
    listNeighbours: (indexes, side) => listNeighbours(organization, address, indexes, side),
    fetch: chunkReader(organization, address),
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
