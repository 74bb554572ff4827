/**
 * Size at which a piece of an answer counts as full. A piece can be longer by what is written between two checks of
 * `isFull`.
 */
export const pieceBytes = 64 * 1024;

/** A JSON answer, piece by piece. */
export type Pieces = AsyncGenerator<Buffer, void, void>;

/**
 * Writes JSON text straight into bytes. It is as fast as JSON.stringify on arrays, but writes pieces of bounded size,
 * and every float64 is recognizable as one (`25.0`, `-0.0`), which JSON.stringify cannot do. Callers check `isFull`
 * between parts, and `take` the piece when it is. The list methods stop by themselves at a full piece.
 */
export class JsonWriter {
  #bytes: Buffer;
  #length = 0;
  #separate = false;
  readonly #pieceBytes: number;

  constructor(pieceBytes: number) {
    this.#pieceBytes = pieceBytes;
    this.#bytes = Buffer.allocUnsafeSlow(pieceBytes + slackBytes);
  }

  get isFull(): boolean {
    return this.#length >= this.#pieceBytes;
  }

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /** The bytes written since the last `take`; they belong to the caller. */
  take(): Buffer {
    const piece = this.#bytes.subarray(0, this.#length);
    this.#bytes = Buffer.allocUnsafeSlow(this.#pieceBytes + slackBytes);
    this.#length = 0;
    return piece;
  }

  /** Writes JSON text unchanged. */
  raw(text: string): this {
    return this.bytes(Buffer.from(text));
  }

  bytes(bytes: Uint8Array): this {
    this.#reserve(bytes.length);
    const target = this.#bytes;
    let at = this.#length;
    for (let i = 0; i < bytes.length; i++) target[at++] = bytes[i] as number;
    this.#length = at;
    return this;
  }

  /** A string, boolean, null or object, as JSON.stringify writes it. Not for float64: `25.0` would become `25`. */
  value(value: unknown): this {
    return this.raw(JSON.stringify(value));
  }

  /** A float64 in the shortest form that reads back to the same bits; NaN becomes null. */
  float(value: number): this {
    this.#reserve(slackBytes);
    this.#length = writeFloat(this.#bytes, this.#length, value);
    return this;
  }

  /** A whole number of at most 2^53; any other number is written as `float` does. */
  integer(value: number): this {
    this.#reserve(slackBytes);
    this.#length = writeInteger(this.#bytes, this.#length, value);
    return this;
  }

  /** The float64 `count / 1000`. */
  thousandths(count: number): this {
    this.#reserve(slackBytes);
    this.#length = writeThousandths(this.#bytes, this.#length, count);
    return this;
  }

  beginList(): this {
    this.#separate = false;
    return this.raw('[');
  }

  endList(): this {
    return this.raw(']');
  }

  /**
   * Writes elements of a begun list from index `from` on, until they end or the piece is full.
   * @returns the index of the next element to write
   */
  floats(values: Float64Array, from: number): number {
    return this.#list(values, from, writeFloat, 0);
  }

  integers(values: Float64Array, from: number): number {
    return this.#list(values, from, writeInteger, 0);
  }

  /** Like `floats`, for whole numbers of thousandths: writes `(element - base) / 1000`. */
  thousandthsSince(base: number, values: Float64Array, from: number): number {
    return this.#list(values, from, writeThousandths, base);
  }

  #list(values: Float64Array, from: number, write: typeof writeFloat, base: number): number {
    const bytes = this.#bytes;
    const end = this.#pieceBytes;
    let at = this.#length;
    let i = from;
    for (; i < values.length && at < end; i++) {
      if (this.#separate) bytes[at++] = comma;
      else this.#separate = true;
      const value = values[i] as number;
      at = write(bytes, at, base === 0 ? value : value - base);
    }
    this.#length = at;
    return i;
  }

  #reserve(needed: number): void {
    if (this.#length + needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow((this.#length + needed) * 2);
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}

/** Writes an array of float64 in pieces; NaN becomes null. */
export function* writeFloats(writer: JsonWriter, numbers: Float64Array): Generator<Buffer, void, void> {
  writer.beginList();
  for (let i = 0; i < numbers.length; ) {
    i = writer.floats(numbers, i);
    if (writer.isFull) yield writer.take();
  }
  writer.endList();
}

/** Spare bytes behind a piece: more than a comma and the longest number need. */
const slackBytes = 64;
const comma = 0x2c;
const minus = 0x2d;
const point = 0x2e;
const zero = 0x30;
/** Below this, the decimal of a number of thousandths is also its shortest form, since float64 preserves 15 digits. */
const exactDecimalMax = 1e15;

/** −0 keeps its sign, because it has other bits than 0. */
function writeFloat(bytes: Buffer, start: number, value: number): number {
  if (Number.isNaN(value)) return writeText(bytes, start, 'null');
  const thousandths = Math.round(value * 1_000);
  // The fast path: most readings have few decimals. A decimal that reads back equal is also the shortest.
  if (Math.abs(thousandths) < exactDecimalMax && thousandths / 1_000 === value) {
    if (value === 0 && Object.is(value, -0)) return writeText(bytes, start, '-0.0');
    return writeThousandths(bytes, start, thousandths);
  }
  const text = String(value);
  const end = writeText(bytes, start, text);
  return Math.abs(value) < 1e21 && Number.isInteger(value) ? writeText(bytes, end, '.0') : end;
}

function writeThousandths(bytes: Buffer, start: number, count: number): number {
  if (Math.abs(count) >= exactDecimalMax || !Number.isInteger(count)) return writeFloat(bytes, start, count / 1_000);
  let at = start;
  let rest = count;
  if (rest < 0) {
    bytes[at++] = minus;
    rest = -rest;
  }
  const whole = Math.floor(rest / 1_000);
  let decimals = rest - whole * 1_000;
  at = writeDigits(bytes, at, whole);
  bytes[at++] = point;
  do {
    const digit = (decimals / 100) | 0;
    bytes[at++] = zero + digit;
    decimals = (decimals - digit * 100) * 10;
  } while (decimals !== 0);
  return at;
}

function writeInteger(bytes: Buffer, start: number, value: number): number {
  if (!Number.isInteger(value)) return writeFloat(bytes, start, value);
  if (value >= 0) return writeDigits(bytes, start, value);
  bytes[start] = minus;
  return writeDigits(bytes, start + 1, -value);
}

const billion = 1_000_000_000;

function writeDigits(bytes: Buffer, start: number, value: number): number {
  if (value < billion) return writePadded(bytes, start, value, digitCount(value));
  const high = Math.floor(value / billion);
  return writePadded(bytes, writeDigits(bytes, start, high), value - high * billion, 9);
}

function writePadded(bytes: Buffer, start: number, value: number, width: number): number {
  let rest = value;
  for (let at = start + width - 1; at >= start; at--) {
    const tens = (rest / 10) | 0;
    bytes[at] = zero + rest - tens * 10;
    rest = tens;
  }
  return start + width;
}

function digitCount(value: number): number {
  let width = 1;
  for (let bound = 10; value >= bound; bound *= 10) width++;
  return width;
}

function writeText(bytes: Buffer, start: number, text: string): number {
  const { length } = text;
  for (let i = 0; i < length; i++) bytes[start + i] = text.charCodeAt(i);
  return start + length;
}
