/**
 * PostgreSQL's binary format of float8[]: what array_send gives and a binary parameter takes.
 * Header of five int4: dimensions (1), null flag, element type (oid 701), length, lower bound (1). Then, per element,
 * an int4 length (8, or −1 for NULL) and the eight bytes of the float64, all big-endian.
 */
const float8Oid = 701;
const headerBytes = 20;
const lengthBytes = 4;
const doubleBytes = 8;

/**
 * Encodes readings as a binary float8[] parameter. null becomes a NULL element; every bit of a number is kept. The null
 * flag is set exactly when a null is present, as array_send does, so a stored array has the same image.
 */
export function encodeFloat8Array(values: readonly (number | null)[]): Buffer {
  const buffer = Buffer.allocUnsafe(float8ArrayBytes(values.length, countNulls(values)));
  writeFloat8Array(buffer, 0, values);
  return buffer;
}

/** Size in bytes of the binary image of so many readings, of which `nullCount` are absent. */
export function float8ArrayBytes(length: number, nullCount: number): number {
  return length === 0 ? emptyArray.length : headerBytes + length * lengthBytes + (length - nullCount) * doubleBytes;
}

function countNulls(values: readonly (number | null)[]): number {
  let count = 0;
  for (let i = 0; i < values.length; i++) if (values[i] === null) count++;
  return count;
}

/** Writes the binary image of readings into a buffer. @returns where it ends */
function writeFloat8Array(buffer: Buffer, from: number, values: readonly (number | null)[]): number {
  const length = values.length;
  if (length === 0) return from + emptyArray.copy(buffer, from);
  const view = new DataView(buffer.buffer, buffer.byteOffset + from, buffer.byteLength - from);
  let at = headerBytes;
  for (let i = 0; i < length; i++) {
    const value = values[i] as number | null;
    if (value === null) {
      view.setInt32(at, -1);
      at += lengthBytes;
    } else {
      view.setInt32(at, doubleBytes);
      view.setFloat64(at + lengthBytes, value);
      at += lengthBytes + doubleBytes;
    }
  }
  writeHeader(view, length, at < headerBytes + length * (lengthBytes + doubleBytes));
  return from + at;
}

/** Writes an array of at least one reading; NaN stands for an absent one. @returns where it ends */
export function writeReadings(view: DataView, from: number, readings: Float64Array, nullCount: number): number {
  const header = new DataView(view.buffer, view.byteOffset + from);
  writeHeader(header, readings.length, nullCount > 0);
  const first = from + headerBytes;
  if (nullCount === 0) return writeElements(view, first, readings);
  let at = first;
  for (let i = 0; i < readings.length; i++) {
    const reading = readings[i] as number;
    const isAbsent = Number.isNaN(reading);
    view.setInt32(at, isAbsent ? -1 : doubleBytes);
    at += lengthBytes;
    if (isAbsent) continue;
    view.setFloat64(at, reading);
    at += doubleBytes;
  }
  return at;
}

/** Writes the elements of an array, NaN included, without its header. @returns where they end */
export function writeElements(view: DataView, from: number, readings: Float64Array): number {
  let at = from;
  for (let i = 0; i < readings.length; i++) {
    view.setInt32(at, doubleBytes);
    view.setFloat64(at + lengthBytes, readings[i] as number);
    at += lengthBytes + doubleBytes;
  }
  return at;
}

/** An array without elements has no dimension: dimensions 0, null flag 0, element type. */
const emptyArray = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0xbd]);

function writeHeader(view: DataView, length: number, nullFlag: boolean): void {
  view.setInt32(0, 1);
  view.setInt32(4, nullFlag ? 1 : 0);
  view.setInt32(8, float8Oid);
  view.setInt32(12, length);
  view.setInt32(16, 1);
}

/**
 * Decodes a binary float8[] of one dimension (or an empty one). NULL elements become NaN. No stored reading is NaN:
 * JSON has no NaN, and the API refuses numbers beyond float64.
 * @throws when the bytes are not such an array
 */
export function decodeFloat8Array(buffer: Buffer): Float64Array {
  const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  const dimensions = view.getInt32(0);
  if (dimensions === 0) return new Float64Array(0);
  if (dimensions !== 1 || view.getInt32(8) !== float8Oid) throw new Error('not a one-dimensional float8[] image');
  const length = view.getInt32(12);
  const values = new Float64Array(length);
  let at = headerBytes;
  for (let i = 0; i < length; i++) {
    if (view.getInt32(at) === doubleBytes) {
      values[i] = view.getFloat64(at + lengthBytes);
      at += lengthBytes + doubleBytes;
    } else {
      values[i] = Number.NaN;
      at += lengthBytes;
    }
  }
  if (at !== buffer.byteLength) throw new Error('a float8[] image is longer than its elements');
  return values;
}
