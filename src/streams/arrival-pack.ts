import { imageBytes, isPacked, type SeriesImage } from '../database/series-image.ts';
import type { ChunkImage } from './chunk-image.ts';
import type { Arrival } from './ingest-rows.ts';

/**
 * Arrivals in the form in which one thread sends them to another. Arrays of bytes and numbers are transferred, not
 * copied, and the fields of all images stand in one of them. Objects would be copied one by one, which takes 30 ms for
 * 10,000 channels.
 */
export interface PackedArrivals {
  channelNames: string[];
  units: (string | null)[];
  /** The bytes of both series and the hash of each image, one after the other. */
  bytes: Uint8Array<ArrayBuffer>;
  /**
   * A row for each image: its two series, then `columns`, then `ascending`. NaN stands for null, since no reading is
   * NaN.
   */
  numbers: Float64Array<ArrayBuffer>;
}

/**
 * The fields of an image that are numbers. Those that `Exclude` names are sent otherwise; the compiler asks for all
 * others.
 */
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
/** Numbers for a series: its form, how many bytes it has, and, where it is packed, its exponent, base and step. */
const seriesLength = 5;
/** Numbers for an image: two series, then the columns, then whether the timestamps ascend. */
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
  // Every field is written out: a loop over `columns` caused most of a stall of the event loop with 10,000 channels.
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

/** The length of a SHA-256. */
const hashBytes = 32;

const orNull = (value: number | undefined) => (value === undefined || Number.isNaN(value) ? null : value);
