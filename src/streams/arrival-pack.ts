import { bytesOf, isPacked, type SeriesImage } from '../database/series-image.ts';
import type { ChunkImage } from './chunk-image.ts';
import type { Arrival } from './rows.ts';

/**
 * Arrivals as they travel from one thread to another: arrays are handed over, not copied, and what is known of each image
 * stands in columns. Objects would be copied one by one, 30 ms for 10,000 channels.
 */
export interface PackedArrivals {
  channelNames: string[];
  units: (string | null)[];
  /** The bytes of both series and the hash of each image, one after the other. */
  bytes: Uint8Array<ArrayBuffer>;
  /** A row for each image: what is said of both series, then `columns`; NaN stands for null, since no reading is one. */
  numbers: Float64Array<ArrayBuffer>;
}

/** The facts of an image that are numbers: all but those that travel otherwise. The compiler asks for each. */
const facts: Record<
  Exclude<keyof ChunkImage, 'timestamps' | 'values' | 'units' | 'ascending' | 'contentHash'>,
  true
> = {
  pointCount: true,
  nullCount: true,
  timeMin: true,
  timeMax: true,
  valueMin: true,
  valueMax: true,
  valueMinTime: true,
  valueMaxTime: true,
};
const columns = Object.keys(facts) as (keyof typeof facts)[];
const placeOf = Object.fromEntries(columns.map((column, i) => [column, i])) as Record<keyof typeof facts, number>;
/** Of a series its bytes, and scale, base and step, or in the place of the scale whether it has absent readings. */
const seriesLength = 4;
/** Two series before the columns, and whether the timestamps ascend behind them. */
const rowLength = 2 * seriesLength + columns.length + 1;

/** A scale is above 0. */
const packSeries = (image: SeriesImage) =>
  isPacked(image)
    ? [image.residuals.length, image.scale, image.base, image.step]
    : [image.elements.length, image.hasNulls ? -1 : 0, 0, 0];

export function packArrivals(arrivals: readonly Arrival[]): PackedArrivals {
  const lengthOf = ({ image }: Arrival) =>
    bytesOf(image.timestamps).length + bytesOf(image.values).length + image.contentHash.length;
  const bytes = new Uint8Array(arrivals.reduce((sum, arrival) => sum + lengthOf(arrival), 0));
  const numbers = new Float64Array(arrivals.length * rowLength);
  let at = 0;
  for (const [i, { image }] of arrivals.entries()) {
    const row = [...packSeries(image.timestamps), ...packSeries(image.values)];
    for (const column of columns) row.push(image[column] ?? Number.NaN);
    row.push(Number(image.ascending));
    numbers.set(row, i * rowLength);
    for (const part of [bytesOf(image.timestamps), bytesOf(image.values), image.contentHash]) {
      bytes.set(part, at);
      at += part.length;
    }
  }
  return {
    channelNames: arrivals.map(({ channelName }) => channelName),
    units: arrivals.map(({ image }) => image.units),
    bytes,
    numbers,
  };
}

export function unpackArrivals({ channelNames, units, bytes, numbers }: PackedArrivals): Arrival[] {
  const buffer = Buffer.from(bytes.buffer);
  let at = 0;
  const next = (length: number) => {
    at += length;
    return buffer.subarray(at - length, at);
  };
  const series = (from: number): SeriesImage => {
    const bytes = next(numbers[from] as number);
    const scale = numbers[from + 1] as number;
    if (scale <= 0) return { elements: bytes, hasNulls: scale < 0 };
    return { scale, base: numbers[from + 2] as number, step: numbers[from + 3] as number, residuals: bytes };
  };
  // Written out: images made of a list of their columns were the largest part of a stall with 10,000 channels.
  return channelNames.map((channelName, i) => {
    const first = i * rowLength;
    const value = (column: number) => orNull(numbers[first + 2 * seriesLength + column]);
    const image: ChunkImage = {
      timestamps: series(first),
      values: series(first + seriesLength),
      units: units[i] ?? null,
      pointCount: value(placeOf.pointCount) as number,
      nullCount: value(placeOf.nullCount) as number,
      timeMin: value(placeOf.timeMin),
      timeMax: value(placeOf.timeMax),
      valueMin: value(placeOf.valueMin),
      valueMax: value(placeOf.valueMax),
      valueMinTime: value(placeOf.valueMinTime),
      valueMaxTime: value(placeOf.valueMaxTime),
      ascending: value(columns.length) === 1,
      contentHash: next(hashBytes),
    };
    return { channelName, image };
  });
}

/** Of SHA-256. */
const hashBytes = 32;

const orNull = (value: number | undefined) => (value === undefined || Number.isNaN(value) ? null : value);
