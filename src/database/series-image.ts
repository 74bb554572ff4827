/**
 * A series in the form in which it is sent to PostgreSQL: packed where that is exact, otherwise the float64 that came.
 */
import { writeElements } from './float8-array.ts';
import type { PackedSeries } from './packed-series.ts';
import type { Packer } from './series-packer.ts';

export type SeriesImage =
  | PackedSeries
  /** Elements of a binary float8[] without its header; an absent reading is NaN, which no reading is. */
  | { elements: Buffer; hasNulls: boolean };

export const isPacked = (image: SeriesImage): image is PackedSeries => 'residuals' in image;

/** The bytes of an image, without its few numbers. */
export const imageBytes = (image: SeriesImage): Buffer => (isPacked(image) ? image.residuals : image.elements);

/**
 * @param readings absent ones are NaN
 * @param packer undefined if nothing is to be packed
 * @param image the binary float8[] of the readings, if the result may keep using its memory
 */
export function toSeriesImage(
  readings: Float64Array,
  hasNulls: boolean,
  packer: Packer | undefined,
  image?: Buffer,
): SeriesImage {
  const packed = packer?.pack(readings);
  if (packed !== undefined) return packed;
  const isUsable = image !== undefined && !hasNulls;
  return { elements: isUsable ? image.subarray(headerBytes) : elementsOf(readings), hasNulls };
}

function elementsOf(readings: Float64Array): Buffer {
  const elements = Buffer.allocUnsafe(readings.length * elementBytes);
  writeElements(new DataView(elements.buffer, elements.byteOffset), 0, readings);
  return elements;
}

const headerBytes = 20;
const elementBytes = 12;

/** One binary float8[] of the elements of many series, which lie end to end. */
export function joinElements(pieces: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeInt32BE(1, 0);
  header.writeInt32BE(701, 8);
  header.writeInt32BE(pieces.reduce((sum, piece) => sum + piece.length, 0) / elementBytes, 12);
  header.writeInt32BE(1, 16);
  return Buffer.concat([header, ...pieces]);
}

/**
 * How many bytes at the end of the residuals are stored apart, in the row itself. PostgreSQL stores long values in
 * pieces of 1,996 bytes, and a last piece of a few bytes takes as much room on a page as a whole one. For 1,000
 * residuals of 2 bytes, storing the last 4 bytes in the row saves a quarter.
 */
export function bytesApart(residuals: Buffer): number {
  const apart = residuals.length % pieceBytes;
  return residuals.length > pieceBytes && apart <= apartBytesMax ? apart : 0;
}

const pieceBytes = 1_996;
const apartBytesMax = 128;
