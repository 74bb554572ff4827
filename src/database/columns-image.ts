/**
 * Several columns of numbers of one length in one `bytea`, each packed as a series is where that is exact
 * (packed-series.ts), else as float64. Of each column comes first how wide its residuals are, then what they stand on, then they.
 */
import { unpack, widthMax } from './packed-series.ts';
import type { Packer } from './series-packer.ts';

/** In the place of a width: the numbers stand as they are. */
const asFloat64 = 0xff;
/** A width, an exponent, a base and a step. */
const packedHeaderBytes = 19;
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
  const image = Buffer.allocUnsafe(packedHeaderBytes + residuals.length);
  image[0] = residuals.length / column.length;
  image.writeInt16BE(exponent, 1);
  image.writeDoubleBE(base, 3);
  image.writeDoubleBE(step, 11);
  residuals.copy(image, packedHeaderBytes);
  return image;
}

/** @throws when the image is not one of so many columns of that length */
export function decodeColumns(image: Buffer, count: number, length: number): Float64Array[] {
  let at = 0;
  const take = (bytes: number) => {
    if (at + bytes > image.length) throw new Error('an overview is cut');
    at += bytes;
    return at - bytes;
  };
  const columns = Array.from({ length: count }, () => {
    const width = image[take(1)] as number;
    if (width === asFloat64) {
      const from = take(length * float64Bytes);
      return Float64Array.from({ length }, (_, i) => image.readDoubleBE(from + i * float64Bytes));
    }
    if (width > widthMax) throw new Error('an overview has a form that this release does not know');
    const header = take(packedHeaderBytes - 1);
    const residuals = take(length * width);
    return unpack(
      {
        exponent: image.readInt16BE(header),
        base: image.readDoubleBE(header + 2),
        step: image.readDoubleBE(header + 10),
        residuals: image.subarray(residuals, residuals + length * width),
      },
      length,
    );
  });
  if (at !== image.length) throw new Error('an overview is longer than it says');
  return columns;
}
