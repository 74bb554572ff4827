import type { Static } from '@sinclair/typebox';
import { meanOf } from '../points/range-statistics.ts';
import { type ChannelStatistics, readChannelStatistics } from '../points/read.ts';
import type { StatisticsAnswer } from './schemas.ts';
import { type NamedChannel, type StreamRead, selectChannels } from './stream-read.ts';
import type { TimeseriesSelection } from './timeseries-selection.ts';

type Answer = Static<typeof StatisticsAnswer>;

/** The statistics of each channel that is asked for. */
export async function statisticsAnswer(
  read: StreamRead,
  selection: Pick<TimeseriesSelection, 'startMs' | 'endMs' | 'property_names'>,
): Promise<Answer> {
  const properties: [string, Answer['properties'][string]][] = [];
  for (const channel of selectChannels(read, selection)) {
    properties.push([channel.name, shown(await readChannelStatistics(read.deps, channel, selection), channel)]);
  }
  return { data_id: read.dataId, properties: Object.fromEntries(properties) };
}

function shown({ least, greatest, ...statistics }: ChannelStatistics, { units }: NamedChannel) {
  const { valueCount, absentCount, squares } = statistics;
  return {
    count: valueCount,
    absent_count: absentCount,
    mean: finite(meanOf(statistics)),
    standard_deviation: finite(Math.sqrt(squares / valueCount)),
    sample_standard_deviation: valueCount < 2 ? null : finite(Math.sqrt(squares / (valueCount - 1))),
    minimum: least?.value ?? null,
    minimum_unix_timestamp_ms: least?.ms ?? null,
    maximum: greatest?.value ?? null,
    maximum_unix_timestamp_ms: greatest?.ms ?? null,
    units,
  };
}

const finite = (number: number) => (Number.isFinite(number) ? number : null);
