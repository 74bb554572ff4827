import type { OrganizationDatabase } from '../database/organizations.ts';
import type { Reading } from '../lib/reading.ts';
import { renameReserved } from '../lib/reserved-names.ts';
import type { PointLimits } from '../points/limits.ts';
import type { ReadDependencies } from '../points/read.ts';
import { msOf } from '../points/time.ts';
import type { TimeseriesLimits } from './limits.ts';
import { type ChannelHead, findStream, listReadChannels } from './store.ts';
import type { TimeseriesSelection } from './timeseries-selection.ts';

/** The bounds of a read. */
export interface ReadLimits {
  points: PointLimits;
  timeseries: TimeseriesLimits;
}

/** A channel under the name that it has in an answer. */
export interface NamedChannel extends ChannelHead {
  name: string;
}

/** What is known of a stream before the first byte of the answer. */
export interface StreamRead {
  dataId: string;
  /** Every channel that holds points. */
  channels: NamedChannel[];
  /** The earliest and the latest ms of all channels; relative times count from the earliest. Null without points. */
  span: { zeroMs: number; endMs: number } | null;
  /** What the points are read with. */
  deps: ReadDependencies;
  timesBytesMax: number;
}

/** @throws ApiError 404 for a stream that is unknown or of another organization */
export async function openStreamRead(
  organization: OrganizationDatabase,
  dataId: string,
  reservedNames: ReadonlySet<string>,
  limits: ReadLimits,
  reading: Reading,
  onLacking?: ReadDependencies['onLacking'],
): Promise<StreamRead> {
  const stream = await findStream(organization, dataId);
  const heads = await listReadChannels(organization, stream.data_id);
  const channelNames = heads.map((head) => head.channel_name);
  const names = renameReserved(channelNames, reservedNames, 'channel');
  return {
    dataId: stream.data_id,
    channels: heads.map((head, i) => ({ ...head, name: names[i] as string })),
    span: spanOf(heads),
    deps: { organization, limits: limits.points, reading, onLacking },
    timesBytesMax: limits.timeseries.timesBytesMax,
  };
}

/** The channels that are asked for and have points with a possible time. */
export function selectChannels(read: StreamRead, { property_names }: TimeseriesSelection): NamedChannel[] {
  const wanted = property_names === undefined ? undefined : new Set(property_names);
  return read.channels.filter(
    (channel) => channel.time_min !== null && (wanted === undefined || wanted.has(channel.name)),
  );
}

/** The ms that relative times count from; any number where there are no points. */
export const zeroMsOf = ({ span }: StreamRead): number => span?.zeroMs ?? 0;

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
