import { hash } from 'node:crypto';
import { float8ArrayBytes, writeReadings } from '../database/float8-array.ts';
import { type SeriesImage, toSeriesImage } from '../database/series-image.ts';
import type { Packer } from '../database/series-packer.ts';
import { statisticsOf } from '../lib/statistics.ts';

/** What a client sends for one channel of a chunk: Unix seconds and readings, one for one; null where there is none. */
export interface ChannelReadings {
  timestamps: (number | null)[];
  values: (number | null)[];
  units?: string | null;
}

/**
 * A chunk of one channel as it is stored: both series, packed or in PostgreSQL's binary format, and facts that reads
 * need.
 */
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
  /**
   * Of the points that have a possible time: how many have a reading, how many have none, the sum and its rounding
   * error.
   */
  valueCount: number;
  absentCount: number;
  valueSum: number;
  valueSumRest: number;
  /** Sum of the squared distances of the readings from their mean; NaN where it exceeds float64. */
  valueSquares: number;
  /** No timestamp is absent or impossible, and none is smaller than the one before it. */
  ascending: boolean;
  /**
   * SHA-256 over both series as binary float8[] and the unit, whatever form is stored. Equal hashes mean equal chunks.
   */
  contentHash: Buffer;
}

/**
 * How far from 1970 a time of ECMAScript can be, in ms. A timestamp beyond that is stored, but is not a possible time.
 */
const timeMsMax = 8.64e15;

/**
 * Makes the image of one channel's readings. Both arrays have the same length, at least one.
 * @param packer packs what can be packed; without it, series are stored as they were sent
 */
export function toChunkImage(readings: ChannelReadings, packer?: Packer): ChunkImage {
  // An empty unit is no unit: an export could not tell them apart.
  const units = readings.units || null;
  const pointCount = readings.values.length;
  const room = roomFor(pointCount);
  const times = room.times.subarray(0, pointCount);
  const values = room.values.subarray(0, pointCount);
  const timeNulls = copyReadings(readings.timestamps, times);
  const nullCount = copyReadings(readings.values, values);
  const span = timeSpan(times);
  const { contentHash, middle, end } = hashOf(room, times, timeNulls, values, nullCount, units);
  const imageOf = (from: number, to: number) => (room === keptRoom ? undefined : room.content.subarray(from, to));
  return {
    timestamps: toSeriesImage(times, timeNulls > 0, packer, imageOf(0, middle)),
    values: toSeriesImage(values, nullCount > 0, packer, imageOf(middle, end)),
    units,
    pointCount,
    nullCount,
    ...span,
    ...valueSpan(times, values, span.ascending),
    ...valueStatistics(times, values, span.ascending),
    contentHash,
  };
}

/** Where readings are copied to, so that all later steps work on float64 arrays and not on the arrays of the parser. */
interface Room {
  times: Float64Array;
  values: Float64Array;
  /** The bytes to hash, end to end. */
  content: Buffer;
  view: DataView;
}

function makeRoom(pointCount: number): Room {
  const content = Buffer.allocUnsafeSlow(2 * float8ArrayBytes(pointCount, 0) + unitBytes);
  const view = new DataView(content.buffer);
  return { times: new Float64Array(pointCount), values: new Float64Array(pointCount), content, view };
}

/** Bytes for the usual unit. With a longer unit, the content is copied to a larger buffer. */
const unitBytes = 64;

/** A room is reused from chunk to chunk. A chunk of more points gets a room of its own. */
const keptPointsMax = 4_096;
let keptRoom = makeRoom(128);

function roomFor(pointCount: number): Room {
  if (pointCount <= keptRoom.times.length) return keptRoom;
  const room = makeRoom(pointCount);
  if (pointCount <= keptPointsMax) keptRoom = room;
  return room;
}

/** Copies readings. Absent ones become NaN, which no reading is. @returns how many are absent */
function copyReadings(readings: readonly (number | null)[], copy: Float64Array): number {
  let nullCount = 0;
  for (let i = 0; i < copy.length; i++) {
    const reading = readings[i] as number | null;
    if (reading === null) nullCount++;
    copy[i] = reading ?? Number.NaN;
  }
  return nullCount;
}

/**
 * Writes both arrays end to end and hashes them in one call, which needs no Hash object. The hash is taken as a binary
 * string, which takes 1 µs less than a buffer.
 * @returns also where the times end and where the values end
 */
function hashOf(
  { content, view }: Room,
  times: Float64Array,
  timeNulls: number,
  values: Float64Array,
  nullCount: number,
  units: string | null,
): { contentHash: Buffer; middle: number; end: number } {
  const middle = writeReadings(view, 0, times, timeNulls);
  const end = writeReadings(view, middle, values, nullCount);
  // Without a unit nothing is added to the hashed bytes; a unit is added after a zero byte.
  const tail = units === null ? '' : `\u0000${units}`;
  const length = end + Buffer.byteLength(tail);
  const hashed =
    length <= content.length ? content.subarray(0, length) : Buffer.alloc(length, content.subarray(0, end));
  hashed.write(tail, end);
  return { contentHash: Buffer.from(hash('sha256', hashed, 'binary'), 'latin1'), middle, end };
}

function timeSpan(times: Float64Array): Pick<ChunkImage, 'timeMin' | 'timeMax' | 'ascending'> {
  let previous = Number.NEGATIVE_INFINITY;
  let ascending = true;
  // This is false for an absent time (NaN), too.
  for (let i = 0; ascending && i < times.length; i++) {
    ascending = (times[i] as number) >= previous;
    previous = times[i] as number;
  }
  const [first, last] = [times[0] as number, previous];
  if (ascending && isPossibleTime(first) && isPossibleTime(last)) return { timeMin: first, timeMax: last, ascending };
  let timeMin = Number.POSITIVE_INFINITY;
  let timeMax = Number.NEGATIVE_INFINITY;
  for (const time of times) {
    if (!isPossibleTime(time)) continue;
    if (time < timeMin) timeMin = time;
    if (time > timeMax) timeMax = time;
  }
  return timeMin <= timeMax ? { timeMin, timeMax, ascending: false } : noSpan;
}

const noSpan = { timeMin: null, timeMax: null, ascending: false };

/** @param areTimes all times are possible ones */
function valueSpan(times: Float64Array, values: Float64Array, areTimes: boolean) {
  let lowest = -1;
  let highest = -1;
  let valueMin = Number.POSITIVE_INFINITY;
  let valueMax = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (!(areTimes || isPossibleTime(times[i] as number))) continue;
    if (value < valueMin) {
      valueMin = value;
      lowest = i;
    }
    if (value > valueMax) {
      valueMax = value;
      highest = i;
    }
  }
  if (lowest === -1) return { valueMin: null, valueMax: null, valueMinTime: null, valueMaxTime: null };
  return {
    valueMin,
    valueMax,
    valueMinTime: times[lowest] as number,
    valueMaxTime: times[highest] as number,
  };
}

/** @param areTimes all times are possible ones */
function valueStatistics(times: Float64Array, values: Float64Array, areTimes: boolean) {
  const counted = areTimes ? values : values.filter((_, i) => isPossibleTime(times[i] as number));
  const { sum, sumRest, squares, ...counts } = statisticsOf(counted);
  return { ...counts, valueSum: sum, valueSumRest: sumRest, valueSquares: squares };
}

/** False for NaN, too. */
function isPossibleTime(seconds: number): boolean {
  return Math.abs(Math.round(seconds * 1_000)) <= timeMsMax;
}
