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
  return channelNames.map((channelName, i) => {
    const [timestampsLength = 0, valuesLength = 0, ...row] = numbers.subarray(i * rowLength, (i + 1) * rowLength);
    const numbersOfImage = columns.map((column, j) => [column, orNull(row[j])]);
    const image = {
      timestamps: next(timestampsLength),
      values: next(valuesLength),
      units: units[i] ?? null,
      ...Object.fromEntries(numbersOfImage),
      ascending: row.at(-1) === 1,
      contentHash: next(hashBytes),
    } as ChunkImage;
    return { channelName, image };
  });
}

/** Of SHA-256. */
const hashBytes = 32;

const orNull = (value: number | undefined) => (value === undefined || Number.isNaN(value) ? null : value);
