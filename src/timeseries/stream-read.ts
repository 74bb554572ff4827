import type { Database } from '../database/database.ts';
import { pointLimits } from '../points/limits.ts';
import type { ChannelSource } from './channel-points.ts';
import { answerNames } from './names.ts';
import { listNeighbours, listNewest, planByTime, planWithSummaries } from './plan-store.ts';
import type { PointBounds } from './point-reader.ts';
import { type ChannelHead, chunkReader, findStream, listChannels } from './store.ts';
import { msOf } from './time.ts';

/** A channel under the name that it has in an answer. */
export interface NamedChannel extends ChannelHead {
  name: string;
}

/** What a read knows of a stream before its first byte. */
export interface StreamRead {
  dataId: string;
  /** Every channel that holds points. */
  channels: NamedChannel[];
  /** The earliest and the latest ms of all channels: relative times count from the first. Null without points. */
  span: { zeroMs: number; endMs: number } | null;
  sourceOf(channel: NamedChannel): ChannelSource;
}

/** Which points of which channels a request wants. */
export interface Selection {
  /** Names as the answer gives them; all channels without. */
  property_names?: string[];
  /** Only the newest points of each channel. */
  last_n?: number;
  /** Only points whose relative time is at least this. */
  elapsed_seconds?: number;
  /** Only points from one ms to another, both included. */
  startMs?: number;
  endMs?: number;
  /** At most so many points of each channel. */
  max_points?: number;
}

/** @throws ApiError 404 for a stream that is unknown or of another organization */
export async function openStreamRead(
  database: Database,
  organizationId: string,
  dataId: string,
  reservedNames: ReadonlySet<string>,
): Promise<StreamRead> {
  const stream = await findStream(database, organizationId, dataId);
  const heads = await listChannels(database, organizationId, stream.data_id);
  const names = answerNames(
    heads.map((head) => head.channel_name),
    reservedNames,
  );
  return {
    dataId: stream.data_id,
    channels: heads.map((head, i) => ({ ...head, name: names[i] as string })),
    span: spanOf(heads),
    sourceOf({ channel_id, chunk_count, point_count }) {
      const channel = { dataId: stream.data_id, channelId: channel_id };
      return {
        chunkCount: chunk_count,
        pointCount: point_count,
        plan: (range) => planByTime(database, organizationId, channel, range),
        planWithSummaries: (range) => planWithSummaries(database, organizationId, channel, range),
        listNewest: (before, chunksMax) => listNewest(database, organizationId, channel, before, chunksMax),
        listNeighbours: (indexes, side) => listNeighbours(database, organizationId, channel, indexes, side),
        fetch: chunkReader(database, organizationId, channel),
      };
    },
  };
}

/** The wanted channels that have points to show. */
export function selectChannels(read: StreamRead, { property_names }: Selection): NamedChannel[] {
  const wanted = property_names === undefined ? undefined : new Set(property_names);
  return read.channels.filter(
    (channel) => channel.time_min !== null && (wanted === undefined || wanted.has(channel.name)),
  );
}

/** Memory that a read may take, shared among the channels that it reads at once. */
export function boundsFor(channelCount: number): PointBounds {
  const share = (points: number) => Math.max(Math.floor(points / channelCount), pointLimits.sharePointsMin);
  return { pagePointsMax: share(pointLimits.pagePointsMax), bufferPointsMax: share(pointLimits.bufferPointsMax) };
}

function spanOf(channels: ChannelHead[]): StreamRead['span'] {
  let zeroMs = Number.POSITIVE_INFINITY;
  let endMs = Number.NEGATIVE_INFINITY;
  for (const { time_min, time_max } of channels) {
    if (time_min === null || time_max === null) continue;
    zeroMs = Math.min(zeroMs, msOf(time_min));
    endMs = Math.max(endMs, msOf(time_max));
  }
  return zeroMs === Number.POSITIVE_INFINITY ? null : { zeroMs, endMs };
}
