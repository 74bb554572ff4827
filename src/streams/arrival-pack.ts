import { imageBytes, isPacked, type SeriesImage } from '../database/series-image.ts';
import type { ChunkImage } from './chunk-image.ts';
import type { Arrival } from './ingest-rows.ts';

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
  valueCount: true,
  absentCount: true,
  valueSum: true,
  valueSumRest: true,
  valueSquares: true,
};
const columns = Object.keys(facts) as (keyof typeof facts)[];
const placeOf = Object.fromEntries(columns.map((column, i) => [column, i])) as Record<keyof typeof facts, number>;
/** Of a series its form, its bytes, and exponent, base and step where it is packed. */
const seriesLength = 5;
/** Two series before the columns, and whether the timestamps ascend behind them. */
const rowLength = 2 * seriesLength + columns.length + 1;

const forms = { packed: 0, sent: 1, sentWithNulls: 2 };

const packSeries = (image: SeriesImage) =>
  isPacked(image)
    ? [forms.packed, image.residuals.length, image.exponent, image.base, image.step]
    : [image.hasNulls ? forms.sentWithNulls : forms.sent, image.elements.length, 0, 0, 0];

export function packArrivals(arrivals: readonly Arrival[]): PackedArrivals {
  const lengthOf = ({ image }: Arrival) =>
    imageBytes(image.timestamps).length + imageBytes(image.values).length + image.contentHash.length;
  const bytes = new Uint8Array(arrivals.reduce((sum, arrival) => sum + lengthOf(arrival), 0));
  const numbers = new Float64Array(arrivals.length * rowLength);
  let at = 0;
  for (const [i, { image }] of arrivals.entries()) {
    const row = [...packSeries(image.timestamps), ...packSeries(image.values)];
    for (const column of columns) row.push(image[column] ?? Number.NaN);
    row.push(Number(image.ascending));
    numbers.set(row, i * rowLength);
    for (const part of [imageBytes(image.timestamps), imageBytes(image.values), image.contentHash]) {
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
    const number = (place: number) => numbers[from + place] as number;
    const bytes = next(number(1));
    if (number(0) !== forms.packed) return { elements: bytes, hasNulls: number(0) === forms.sentWithNulls };
    return { exponent: number(2), base: number(3), step: number(4), residuals: bytes };
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
      valueCount: value(placeOf.valueCount) as number,
      absentCount: value(placeOf.absentCount) as number,
      valueSum: value(placeOf.valueSum) ?? Number.NaN,
      valueSumRest: value(placeOf.valueSumRest) ?? Number.NaN,
      valueSquares: value(placeOf.valueSquares) ?? Number.NaN,
      ascending: value(columns.length) === 1,
      contentHash: next(hashBytes),
    };
    return { channelName, image };
  });
}

/** Of SHA-256. */
const hashBytes = 32;

const orNull = (value: number | undefined) => (value === undefined || Number.isNaN(value) ? null : value);
