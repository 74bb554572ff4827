/**
 * Series of readings as whole numbers: `x[i] = (base + step × i + residual[i]) / scale`.
 * Readings of instruments are decimals with few digits (then the scale is a power of ten), or come from a clock or a
 * float32 (then it is a power of two). Base, step and all sums of them are whole numbers within ±2^53, so the sum is
 * exact. The one division rounds as the parser did when it first read the decimal. A series is packed only if every bit
 * comes back: each reading is compared with the result of that division.
 */
export interface PackedSeries {
  /** From -1000 to 22. The scale is 10^exponent; where that is below 0 it is 2^-exponent. */
  exponent: number;
  base: number;
  step: number;
  /**
   * Residuals, 0 to 6 bytes each, the highest byte first. All have the width of the largest one; they have no bytes
   * where all are 0. An absent reading has all bits set.
   */
  residuals: Buffer;
}

/** The number that stands for an absent reading, by width; residuals are always smaller. */
export const absentOf = [0, 0xff, 0xffff, 0xffffff, 0xffffffff, 0xffffffffff, 0xffffffffffff] as const;
export const widthMax = absentOf.length - 1;

/** All powers of ten that float64 holds exactly. */
export const powersOfTen = Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));

/** A look-up takes a tenth of the time of computing the power, which counts where series are short. */
const powersOfTwo = Float64Array.from({ length: 1_001 }, (_, exponent) => 2 ** exponent);

/** What the whole numbers of a series are divided by. */
export const scaleOf = (exponent: number): number =>
  (exponent < 0 ? powersOfTwo[-exponent] : powersOfTen[exponent]) ?? Number.NaN;

/**
 * Decodes the readings. Absent ones are NaN, which no stored reading is.
 * @throws when the residuals are not those of so many readings
 */
export function unpack({ residuals, ...line }: PackedSeries, pointCount: number): Float64Array {
  const readings = new Float64Array(pointCount);
  const width = residuals.length / pointCount;
  if (!(Number.isInteger(width) && width <= widthMax))
    throw new Error('a packed series has not the length of its chunk');
  unpackInto(readings, line, residuals, 0, width);
  return readings;
}

/** The line that residuals are added to, and the scale. */
export type PackedLine = Omit<PackedSeries, 'residuals'>;

/**
 * The same into an existing array, whose length is the number of readings.
 * @param bytes contains the residuals, of `width` bytes each, from `from` on
 */
export function unpackInto(
  readings: Float64Array,
  { exponent, base, step }: PackedLine,
  bytes: Uint8Array,
  from: number,
  width: number,
): void {
  const absent = absentOf[width] as number;
  const scale = scaleOf(exponent);
  const { length } = readings;
  if (width === 0) {
    if (step === 0) readings.fill(base / scale);
    else for (let i = 0; i < length; i++) readings[i] = (base + step * i) / scale;
    return;
  }
  for (let i = 0, at = from; i < length; i++, at += width) {
    const residual = residualAt(bytes, at, width);
    readings[i] = residual === absent ? Number.NaN : (base + step * i + residual) / scale;
  }
}

/**
 * The residual that begins at a byte; 0 where residuals have no bytes. Widths of two and three are the most common, and
 * take half of the time by these branches.
 */
export function residualAt(bytes: Uint8Array, at: number, width: number): number {
  if (width === 2) return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
  if (width === 3) return ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
  let residual = 0;
  for (let byte = at; byte < at + width; byte++) residual = residual * 256 + (bytes[byte] as number);
  return residual;
}
