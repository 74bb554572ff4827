import type { LatestReading, RunStatus } from '../live/protocol.ts';
import type { Series } from '../plot/series.ts';
import type { Range } from '../plot/window.ts';
import { callApi, queryOf } from './client.ts';

export interface LatestChannel extends LatestReading {
  channel_name: string;
  units: string | null;
  point_count: number;
  chunk_count: number;
  changed_at: string;
}

export interface Latest {
  data_id: string;
  status: RunStatus;
  channels: LatestChannel[];
}

export const readLatest = (dataId: string, signal?: AbortSignal) =>
  callApi<Latest>(`metrology/${dataId}/latest`, { signal });

interface Timeseries {
  series_max_time: number | null;
  available_property_names: string[];
  properties: Record<
    string,
    { values: (number | null)[]; unix_timestamp_ms: number[]; relative_time_seconds: number[]; units: string | null }
  >;
  gaps?: Record<
    string,
    {
      from_chunk: number;
      to_chunk: number;
      data_ends_unix_timestamp_ms: number | null;
      data_begins_unix_timestamp_ms: number | null;
    }[]
  >;
  /** By property: whether the answer holds only the extremes of each part of the range. */
  down_sampled?: Record<string, boolean>;
}

/** The names and the time span of a run, which the page needs before it reads points. */
export interface Outline {
  /** Names of channels as answers have them. Answers change the few names that the SDK uses for itself. */
  properties: string[];
  /** First to last time of all channels, in Unix ms; undefined while the run holds no point with a time. */
  span: Range | undefined;
}

/**
 * Reads the outline without reading points, so it is fast for many channels too: `latest` has the newest time, and the
 * answer with the names says how many seconds after the first time that is.
 */
export async function readOutline(dataId: string, latest: Promise<Latest>): Promise<Outline> {
  const path = `tool-state/${dataId}/timeseries/?available_properties=true`;
  const [{ channels }, { available_property_names: properties, series_max_time: seconds }] = await Promise.all([
    latest,
    callApi<Timeseries>(path),
  ]);
  const newest = Math.max(...channels.map(({ timestamp }) => timestamp ?? Number.NEGATIVE_INFINITY));
  if (!Number.isFinite(newest) || seconds === null) return { properties, span: undefined };
  const toMs = Math.round(newest * 1_000);
  return { properties, span: { fromMs: toMs - Math.round(seconds * 1_000), toMs } };
}

/** The name that a channel has in answers. */
function propertyOf(channel: string, properties: readonly string[]): string {
  if (properties.includes(channel)) return channel;
  return properties.find((name) => name.startsWith(`${channel} (channel`)) ?? channel;
}

export interface SeriesWanted {
  dataId: string;
  properties: readonly string[];
  range: Range | undefined;
  pointsMax: number;
}

/** Reads channels of a run within a range, at most `pointsMax` points each. */
export type ReadSeries = (
  channels: readonly string[],
  range: Range,
  pointsMax: number,
  signal: AbortSignal,
) => Promise<Map<string, Series>>;

/**
 * A function that reads several channels of a run by one request.
 * @param properties names of channels as answers have them, as far as they are known; each answer brings the current ones
 */
export function openSeries(dataId: string, properties: readonly string[]): ReadSeries {
  let known = properties;
  const read: ReadSeries = async (channels, range, pointsMax, signal) => {
    const asked = new Map(channels.map((channel) => [channel, propertyOf(channel, known)]));
    const query = queryOf({
      property_names: [...asked.values()],
      start: seconds(Math.floor(range.fromMs)),
      end: seconds(Math.ceil(range.toMs)),
      max_points: Math.max(4, Math.round(pointsMax)),
    });
    const answer = await callApi<Timeseries>(`tool-state/${dataId}/timeseries/?${query}`, { signal });
    known = answer.available_property_names;
    const series = new Map([...asked].map(([channel, property]) => [channel, seriesOf(answer, property)]));
    const misnamed = channels.filter((channel) => asked.get(channel) !== propertyOf(channel, known));
    if (misnamed.length === 0) return series;
    return new Map([...series, ...(await read(misnamed, range, pointsMax, signal))]);
  };
  return read;
}

function seriesOf({ properties, gaps, down_sampled }: Timeseries, property: string): Series {
  return {
    times: properties[property]?.unix_timestamp_ms ?? [],
    values: properties[property]?.values ?? [],
    gaps: (gaps?.[property] ?? []).map((gap) => ({
      fromChunk: gap.from_chunk,
      toChunk: gap.to_chunk,
      endsMs: gap.data_ends_unix_timestamp_ms,
      beginsMs: gap.data_begins_unix_timestamp_ms,
    })),
    downSampled: down_sampled?.[property],
  };
}

/** Unix seconds, the form of `start` and `end`. */
const seconds = (ms: number) => (ms / 1_000).toFixed(3);
