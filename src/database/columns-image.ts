/**
 * Several columns of numbers of one length in one `bytea`, each packed as a series is where that is exact
 * (packed-series.ts), else as float64. Of each column comes first how wide its residuals are, then what they stand on, then they.
 */
import { absentOf, scaleOf, unpackInto, widthMax } from './packed-series.ts';
import type { Packer } from './series-packer.ts';

/** In the place of a width: the numbers stand as they are. */
const asFloat64 = 0xff;
/** Added to a width: there is a step. */
const withStep = 0x10;
/** A width, an exponent and a base, before a step. */
const headerBytes = 11;
const float64Bytes = 8;

/** @param columns of the same length; a number that is not there is NaN */
export function encodeColumns(columns: readonly Float64Array[], packer: Packer): Buffer {
  return Buffer.concat(columns.map((column) => encodeColumn(column, packer)));
}

function encodeColumn(column: Float64Array, packer: Packer): Buffer {
  const packed = packer.pack(column);
  if (packed === undefined) {
    const image = Buffer.allocUnsafe(1 + column.length * float64Bytes);
    image[0] = asFloat64;
    column.forEach((number, i) => void image.writeDoubleBE(number, 1 + i * float64Bytes));
    return image;
  }
  const { exponent, base, step, residuals } = packed;
  const stepBytes = step === 0 ? 0 : float64Bytes;
  const image = Buffer.allocUnsafe(headerBytes + stepBytes + residuals.length);
  image[0] = residuals.length / column.length + (step === 0 ? 0 : withStep);
  image.writeInt16BE(exponent, 1);
  image.writeDoubleBE(base, 3);
  if (step !== 0) image.writeDoubleBE(step, headerBytes);
  residuals.copy(image, headerBytes + stepBytes);
  return image;
}

/**
 * Decodes an image into columns that are there already, of the length that theirs had.
 * @throws when it is not the image of so many columns of that length
 */
export function decodeColumns(image: Buffer, columns: readonly Float64Array[]): void {
  const { length } = columns[0] as Float64Array;
  findColumns(image, columns.length, length).forEach(
    (at, i) => void decodeColumn(image, at, columns[i] as Float64Array),
  );
}

/**
 * Where each column of an image begins.
 * @throws when it is not the image of so many columns of that length
 */
export function findColumns(image: Buffer, count: number, length: number): number[] {
  const places: number[] = [];
  let at = 0;
  for (let column = 0; column < count; column++) {
    const { width, from, isPacked } = formAt(image, at);
    if (isPacked && width > widthMax) throw new Error('an overview has a form that this release does not know');
    const end = from + length * (isPacked ? width : float64Bytes);
    if (!(end <= image.length)) throw new Error('an overview is cut');
    places.push(at);
    at = end;
  }
  if (at !== image.length) throw new Error('an overview is longer than it says');
  return places;
}

/** @param at where it begins */
export function decodeColumn(image: Buffer, at: number, column: Float64Array): void {
  const { width, from, isPacked } = formAt(image, at);
  if (isPacked) {
    unpackInto(column, { ...lineAt(image, at), residuals: image.subarray(from, from + column.length * width) });
  } else {
    // A tenth of the time that readDoubleBE takes.
    const view = new DataView(image.buffer, image.byteOffset + from);
    for (let i = 0; i < column.length; i++) column[i] = view.getFloat64(i * float64Bytes);
  }
}

/** One number of a column. */
export function numberAt(image: Buffer, at: number, place: number): number {
  const { width, from, isPacked } = formAt(image, at);
  if (!isPacked) return image.readDoubleBE(from + place * float64Bytes);
  const { exponent, base, step } = lineAt(image, at);
  const residual = width === 0 ? 0 : image.readUIntBE(from + place * width, width);
  return residual === absentOf[width] && width > 0 ? Number.NaN : (base + step * place + residual) / scaleOf(exponent);
}

function formAt(image: Buffer, at: number) {
  const form = image[at] as number;
  const isPacked = form !== asFloat64;
  const width = form & ~withStep;
  const hasStep = isPacked && width !== form;
  return { isPacked, width, from: at + (isPacked ? headerBytes : 1) + (hasStep ? float64Bytes : 0) };
}

const lineAt = (image: Buffer, at: number) => ({
  exponent: image.readInt16BE(at + 1),
  base: image.readDoubleBE(at + 3),
  step: ((image[at] as number) & withStep) === 0 ? 0 : image.readDoubleBE(at + headerBytes),
});
