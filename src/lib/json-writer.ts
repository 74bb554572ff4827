/** Bytes of one piece of an answer; what is written between two questions whether it is full can make one longer. */
export const pieceBytes = 64 * 1024;

/** A JSON answer, piece by piece. */
export type Pieces = AsyncGenerator<Buffer, void, void>;

/**
 * Writes JSON text straight into bytes: as fast as JSON.stringify on arrays, but in pieces of bounded size and with
 * every float64 recognizable as one (`25.0`, `-0.0`), which JSON.stringify cannot do.
 * Ask `isFull` between parts and `take` the piece then; the list methods stop by themselves when the piece is full.
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

  /** JSON text as it stands. */
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

  /** A string, a boolean, null, or an object of those, as JSON.stringify writes it: not for numbers that are float64. */
  value(value: unknown): this {
    return this.raw(JSON.stringify(value));
  }

  /** A float64 in its shortest form that reads back to the same bits; NaN is null. */
  float(value: number): this {
    this.#reserve(slackBytes);
    this.#length = writeFloat(this.#bytes, this.#length, value);
    return this;
  }

  /** A whole number of at most 2^53; any other is written as it is. */
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

  /** Elements of a begun list from index `from` on, until they end or the piece is full; returns the next index. */
  floats(values: Float64Array, from: number): number {
    return this.#list(values, from, writeFloat, 0);
  }

  integers(values: Float64Array, from: number): number {
    return this.#list(values, from, writeInteger, 0);
  }

  /** Each element less `base`, as thousandths. */
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

/** An array of float64, in pieces; NaN is null. */
export function* writeFloats(writer: JsonWriter, numbers: Float64Array): Generator<Buffer, void, void> {
  writer.beginList();
  for (let i = 0; i < numbers.length; ) {
    i = writer.floats(numbers, i);
    if (writer.isFull) yield writer.take();
  }
  writer.endList();
}

/** More than a comma and the longest number need. */
const slackBytes = 64;
const comma = 0x2c;
const minus = 0x2d;
const point = 0x2e;
const zero = 0x30;
/** Below this, a number of thousandths and its shortest decimal are one to one: 15 digits survive a float64. */
const exactDecimalMax = 1e15;

/** The zero is told by its sign: −0 is a reading of its own. */
function writeFloat(bytes: Buffer, start: number, value: number): number {
  if (Number.isNaN(value)) return writeText(bytes, start, 'null');
  const thousandths = Math.round(value * 1_000);
  // Most measured readings have few decimals; when the decimal reads back equal it is the shortest one as well.
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
