import type { ChunkImage } from './chunk-image.ts';
import type { Arrival } from './rows.ts';

/**
 * Arrivals as they travel from one thread to another: arrays are handed over, not copied, and what is known of each image
 * stands in columns. Objects would be copied one by one, 30 ms for 10,000 channels.
 */
export interface PackedArrivals {
  channelNames: string[];
  units: (string | null)[];
  /** Both arrays and the hash of each image, one after the other. */
  bytes: Uint8Array<ArrayBuffer>;
  /** A row for each image: bytes of its arrays, then `columns`; NaN stands for null, since no reading is one. */
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
/** Two lengths before the columns, and whether the timestamps ascend behind them. */
const rowLength = columns.length + 3;

export function packArrivals(arrivals: readonly Arrival[]): PackedArrivals {
  const lengthOf = ({ image }: Arrival) => image.timestamps.length + image.values.length + image.contentHash.length;
  const bytes = new Uint8Array(arrivals.reduce((sum, arrival) => sum + lengthOf(arrival), 0));
  const numbers = new Float64Array(arrivals.length * rowLength);
  let at = 0;
  for (const [i, { image }] of arrivals.entries()) {
    const row = [image.timestamps.length, image.values.length];
    for (const column of columns) row.push(image[column] ?? Number.NaN);
    row.push(Number(image.ascending));
    numbers.set(row, i * rowLength);
    for (const part of [image.timestamps, image.values, image.contentHash]) {
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
  // Written out: made of a list of its columns, an image took ten times as long, and 10,000 of them were a stall.
  return channelNames.map((channelName, i) => {
    const first = i * rowLength;
    const value = (column: number) => orNull(numbers[first + 2 + column]);
    const image: ChunkImage = {
      timestamps: next(numbers[first] as number),
      values: next(numbers[first + 1] as number),
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
