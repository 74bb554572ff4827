/**
 * Series of readings as whole numbers: `x[i] = (base + step × i + residual[i]) / scale`.
 * Readings of instruments are decimals with few digits (scale is a power of ten), or come from a clock or a float32 (a power of
 * two). Base, step and all sums of them are whole numbers within ±2^53, so the sum is exact, and the one division rounds as it
 * did when the decimal was first read. A series is packed only where every bit comes back: each reading is compared with what the
 * division of its whole number gives.
 */
export interface PackedSeries {
  /** From -1000 to 22. The scale is 10^exponent; where that is below 0 it is 2^-exponent. */
  exponent: number;
  base: number;
  step: number;
  /**
   * Residuals, 0 to 6 bytes each, the highest byte first: as many as the largest takes, none where all are 0. All bits of an
   * absent reading are set.
   */
  residuals: Buffer;
}

/** The number that stands for an absent reading, by the width; residuals stay below it. */
export const absentOf = [0, 0xff, 0xffff, 0xffffff, 0xffffffff, 0xffffffffff, 0xffffffffffff] as const;
export const widthMax = absentOf.length - 1;

/** All powers of ten that are float64. */
export const powersOfTen = Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));

/** What the whole numbers of a series are divided by. */
export const scaleOf = (exponent: number): number =>
  exponent < 0 ? 2 ** -exponent : (powersOfTen[exponent] ?? Number.NaN);

/**
 * Gives back the readings; absent ones are NaN, which nothing stored can be.
 * @throws when the residuals are not those of so many readings
 */
export function unpack(series: PackedSeries, pointCount: number): Float64Array {
  const readings = new Float64Array(pointCount);
  unpackInto(readings, series);
  return readings;
}

/** The same into numbers that are there already, as many as there are readings. */
export function unpackInto(readings: Float64Array, { exponent, base, step, residuals }: PackedSeries): void {
  const pointCount = readings.length;
  const width = residuals.length / pointCount;
  if (!(Number.isInteger(width) && width <= widthMax))
    throw new Error('a packed series has not the length of its chunk');
  const absent = absentOf[width] as number;
  const scale = scaleOf(exponent);
  if (width === 2) {
    for (let i = 0; i < pointCount; i++) {
      const residual = ((residuals[2 * i] as number) << 8) | (residuals[2 * i + 1] as number);
      readings[i] = residual === absent ? Number.NaN : (base + step * i + residual) / scale;
    }
    return;
  }
  let at = 0;
  for (let i = 0; i < pointCount; i++) {
    let residual = 0;
    for (let byte = 0; byte < width; byte++) residual = residual * 256 + (residuals[at++] as number);
    readings[i] = residual === absent && width > 0 ? Number.NaN : (base + step * i + residual) / scale;
  }
}
