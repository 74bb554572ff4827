/**
 * What can be computed from a packed series without decoding it. Its whole numbers have the same order as its readings,
 * so they can be compared instead. That matters for a read that shows a long run in few points: it looks at every
 * reading of hundreds of chunks.
 */
import { absentOf, residualAt, scaleOf } from './packed-series.ts';
import type { StoredSeries } from './stored-series.ts';

/** A packed series whose residuals lie in one buffer. */
export interface SeriesScan {
  pointCount: number;
  exponent: number;
  base: number;
  step: number;
  residuals: Uint8Array;
  /** Bytes of a residual. */
  width: number;
}

/** @returns undefined where a series is not packed, or is damaged */
export function scanOf({ array, pointCount, residuals, rest, ...line }: StoredSeries): SeriesScan | undefined {
  if (array !== undefined || pointCount === 0) return undefined;
  const whole = rest === undefined ? (residuals ?? noBytes) : Buffer.concat([residuals ?? noBytes, rest]);
  const width = whole.length / pointCount;
  if (absentOf[width] === undefined) return undefined;
  return { pointCount, exponent: line.exponent, base: line.base, step: line.step, residuals: whole, width };
}

const noBytes = new Uint8Array(0);

/** The reading at a place; NaN where it is absent. */
export function readingAt({ exponent, base, step, residuals, width }: SeriesScan, place: number): number {
  if (width === 0) return (base + step * place) / scaleOf(exponent);
  const residual = residualAt(residuals, place * width, width);
  return residual === absentOf[width] ? Number.NaN : (base + step * place + residual) / scaleOf(exponent);
}

/**
 * Whether all readings are present and each is larger than the one before by at least `least`. This holds even after
 * they have been divided and multiplied by 1,000, which rounds.
 */
export function ascendsBy(series: SeriesScan, least: number): boolean {
  const { exponent, base, step, residuals, width, pointCount } = series;
  const absent = width === 0 ? -1 : (absentOf[width] as number);
  const scale = scaleOf(exponent);
  const largest = (Math.abs(base) + Math.abs(step) * pointCount + Math.max(absent, 0)) / scale;
  const leastRise = scale * (least + largest * roundingShare) - step;
  let before = Number.NEGATIVE_INFINITY;
  for (let i = 0, at = 0; i < pointCount; i++, at += width) {
    // Nearly all residuals have two bytes, and the function call would cost as much as all the rest.
    const isUsual = width === 2;
    const residual = isUsual
      ? ((residuals[at] as number) << 8) | (residuals[at + 1] as number)
      : residualAt(residuals, at, width);
    // An absent reading is above every other one, and the reading after it far below it.
    if (!(residual - before >= leastRise) || residual === absent) return false;
    before = residual;
  }
  return true;
}

/** Each of two readings is off by two roundings of 2^-53, so their distance by four. */
const roundingShare = 2 ** -50;

/** The places of the extremes of some readings; -1 where all are absent. */
export interface ExtremePlaces {
  /** Of equal readings, the first. */
  least: number;
  /** Of equal readings, the last. */
  greatest: number;
}

/** Whether different whole numbers of the series stay different readings after the division. */
export const keepsApart = ({ base, step, pointCount, width }: SeriesScan) =>
  Math.abs(base) + Math.abs(step) * pointCount + (absentOf[width] as number) < apartMax;

/** Below it, neighbouring whole numbers are two float64 steps apart, so a division cannot round them to one reading. */
const apartMax = 2 ** 51;

/** @param to the place after the last one. Only for a series that `keepsApart` */
export function extremesBetween({ step, residuals, width }: SeriesScan, from: number, to: number): ExtremePlaces {
  const absent = width === 0 ? -1 : (absentOf[width] as number);
  const places = { least: -1, greatest: -1 };
  let [lowest, highest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = from, at = from * width; i < to; i++, at += width) {
    const isUsual = width === 2;
    const residual = isUsual
      ? ((residuals[at] as number) << 8) | (residuals[at + 1] as number)
      : residualAt(residuals, at, width);
    if (residual === absent) continue;
    const number = step * i + residual;
    if (number < lowest) {
      lowest = number;
      places.least = i;
    }
    if (number >= highest) {
      highest = number;
      places.greatest = i;
    }
  }
  return places;
}
