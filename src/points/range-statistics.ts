import { type Statistics, statisticsOf } from '../lib/statistics.ts';
import { type MsRange, msMax, msOf } from './time.ts';

export { createTotal, meanOf, noStatistics, type Statistics, together } from '../lib/statistics.ts';

/** All possible times, in ms and both included. */
const anyTime: MsRange = { fromMs: -msMax, toMs: msMax };

/**
 * The statistics of the points whose time lies in a range; by default of all points with a possible time.
 * @param times Unix seconds, NaN where there is none
 * @param values NaN where there is no reading
 */
export const statisticsInRange = (times: Float64Array, values: Float64Array, range = anyTime): Statistics =>
  statisticsOf(valuesInside(times, values, range));

/** The values inside a range. Nearly always these are all of them, and no array is copied. */
function valuesInside(times: Float64Array, values: Float64Array, { fromMs, toMs }: MsRange): Float64Array {
  const isInside = (_: number, i: number) => {
    const ms = msOf(times[i] as number);
    return ms >= fromMs && ms <= toMs;
  };
  return values.every(isInside) ? values : values.filter(isInside);
}
