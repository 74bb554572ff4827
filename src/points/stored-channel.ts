import type { ChannelAddress } from '../database/channel-address.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';
import type { GrowingBytes } from '../lib/growing-bytes.ts';
import type { Reading } from '../lib/reading.ts';
import type { ChannelSource } from './channel-source.ts';
import type { PointLimits } from './limits.ts';
import { overviewSource } from './overview-store.ts';
import { listNeighbours, listNewest, listStepsBeside, planByTime, planWithSummaries } from './plan-store.ts';
import { chunkReader, seriesReader } from './series-store.ts';
import { type MsRange, msOf, wholeRange } from './time.ts';

/** What a read needs, and the organization that it reads for. */
export interface ReadDependencies {
  organization: OrganizationDatabase;
  limits: PointLimits;
  reading: Reading;
  /** Reports a channel whose overview lacks many blocks. */
  onLacking?: ((channel: ChannelAddress) => void) | undefined;
}

/** The columns of a channel's row that reading its points needs. */
export interface ChannelRow {
  data_id: string;
  channel_id: number;
  chunk_count: number;
  point_count: number;
  /** The span of the times of its points, in Unix seconds; null where no point has a possible time. */
  time_min?: number | null;
  time_max?: number | null;
}

/** The statements that read a channel in order of time. @param image the buffer that all pages of the read share */
export function sourceOf(
  { organization, reading, limits, onLacking = () => {} }: ReadDependencies,
  channel: ChannelRow,
  image: GrowingBytes,
): ChannelSource {
  const address = channelAddressOf(channel);
  const { rest, enlarge } = reading;
  const planning = { rest, chunksMax: limits.plannedChunksMax };
  return {
    chunkCount: channel.chunk_count,
    pointCount: channel.point_count,
    plan: (range) => planByTime(organization, address, range, planning),
    planWithSummaries: (range, chunksMax = planning.chunksMax) =>
      planWithSummaries(organization, address, range, { rest, chunksMax }),
    overview: overviewSource(organization, address, { rest, onLacking: () => onLacking(address) }),
    span: spanOf(channel),
    listNewest: (before, chunksMax) => listNewest(organization, address, before, chunksMax),
    listNeighbours: (beside) => listNeighbours(organization, address, beside),
    listStepsBeside: (holes, stepsMax) => listStepsBeside(organization, address, holes, stepsMax),
    fetch: chunkReader(organization, address, { image, rest }),
    fetchSeries: seriesReader(organization, address, { image, rest }),
    rest,
    enlarge,
  };
}

export const channelAddressOf = ({
  data_id,
  channel_id,
}: Pick<ChannelRow, 'data_id' | 'channel_id'>): ChannelAddress => ({
  dataId: data_id,
  channelId: channel_id,
});

const spanOf = ({ time_min, time_max }: ChannelRow): MsRange =>
  time_min == null || time_max == null ? wholeRange : { fromMs: msOf(time_min), toMs: msOf(time_max) };
