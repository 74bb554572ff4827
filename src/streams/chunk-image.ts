import { hash } from 'node:crypto';
import { countNulls, float8ArrayBytes, writeFloat8Array } from '../database/float8-array.ts';
import type { Packer } from '../database/packed-series.ts';
import { type SeriesImage, toSeriesImage } from '../database/series-image.ts';

/** What a client sends for one channel of a chunk: Unix seconds and readings, one for one; null where there is none. */
export interface ChannelReadings {
  timestamps: (number | null)[];
  values: (number | null)[];
  units?: string | null;
}

/** A chunk of one channel as it is stored: both series in PostgreSQL's binary format, and what reads need to know of them. */
export interface ChunkImage {
  timestamps: SeriesImage;
  values: SeriesImage;
  units: string | null;
  pointCount: number;
  /** Values that are absent. */
  nullCount: number;
  /** Span of the timestamps that are possible times, Unix seconds; null when none is. */
  timeMin: number | null;
  timeMax: number | null;
  /** The smallest and largest value among the points that have a possible time, the first of equal ones; null without any. */
  valueMin: number | null;
  valueMax: number | null;
  /** When those were, Unix seconds. */
  valueMinTime: number | null;
  valueMaxTime: number | null;
  /** No timestamp is absent or impossible, and none is smaller than the one before it. */
  ascending: boolean;
  /** SHA-256 over both series as binary float8[] and the unit, whatever form is stored: two chunks are equal when these are. */
  contentHash: Buffer;
}

/** Milliseconds that a time of ECMAScript can be away from 1970; a timestamp beyond them is stored, but is no time. */
const timeMsMax = 8.64e15;

/**
 * Pictures one channel's readings for storage. Both arrays have the same length, at least one.
 * @param packer packs what can be packed; without it, series are stored as they were sent
 */
export function toChunkImage(readings: ChannelReadings, packer?: Packer): ChunkImage {
  // An empty unit is no unit: an export could not tell them apart.
  const units = readings.units || null;
  // No unit adds nothing to what is hashed; a unit adds a zero byte before its own.
  const tail = units === null ? '' : `\u0000${units}`;
  // All that is hashed lies end to end, so that one call without an object of its own does that.
  const content = Buffer.allocUnsafe(
    float8ArrayBytes(readings.timestamps) + float8ArrayBytes(readings.values) + Buffer.byteLength(tail),
  );
  const middle = writeFloat8Array(content, 0, readings.timestamps);
  const end = writeFloat8Array(content, middle, readings.values);
  content.write(tail, end);
  const nullCount = countNulls(readings.values);
  const { timestamps, values } = readings;
  return {
    timestamps: toSeriesImage(timestamps, countNulls(timestamps), content.subarray(0, middle), packer),
    values: toSeriesImage(values, nullCount, content.subarray(middle, end), packer),
    units,
    pointCount: values.length,
    nullCount,
    ...timeSpan(readings.timestamps),
    ...valueSpan(readings),
    contentHash: hash('sha256', content, 'buffer'),
  };
}

function timeSpan(timestamps: readonly (number | null)[]): Pick<ChunkImage, 'timeMin' | 'timeMax' | 'ascending'> {
  let timeMin = Number.POSITIVE_INFINITY;
  let timeMax = Number.NEGATIVE_INFINITY;
  let ascending = true;
  let previous = Number.NEGATIVE_INFINITY;
  for (const time of timestamps) {
    if (time === null || !isPossibleTime(time)) {
      ascending = false;
      continue;
    }
    if (time < previous) ascending = false;
    previous = time;
    if (time < timeMin) timeMin = time;
    if (time > timeMax) timeMax = time;
  }
  return timeMin <= timeMax ? { timeMin, timeMax, ascending } : { timeMin: null, timeMax: null, ascending };
}

function valueSpan({ timestamps, values }: ChannelReadings) {
  let lowest = -1;
  let highest = -1;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number | null;
    const time = timestamps[i] as number | null;
    if (value === null || time === null || !isPossibleTime(time)) continue;
    if (lowest === -1 || value < (values[lowest] as number)) lowest = i;
    if (highest === -1 || value > (values[highest] as number)) highest = i;
  }
  return {
    valueMin: values[lowest] ?? null,
    valueMax: values[highest] ?? null,
    valueMinTime: timestamps[lowest] ?? null,
    valueMaxTime: timestamps[highest] ?? null,
  };
}

function isPossibleTime(seconds: number): boolean {
  return Math.abs(Math.round(seconds * 1_000)) <= timeMsMax;
}
