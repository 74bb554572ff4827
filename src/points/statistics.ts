import { type MsRange, msMax, msOf } from './time.ts';

/**
 * What is known of readings besides the readings: enough to tell their mean and standard deviation, and those of several
 * such lists together. Only points with a possible time count.
 */
export interface Statistics {
  valueCount: number;
  /** Points without a reading. */
  absentCount: number;
  /** The sum of the readings, and what it lacks by rounding. */
  sum: number;
  sumRest: number;
  /** The sum of their squared distances from their mean. */
  squares: number;
}

/** Statistics with the smallest and the largest reading, of equal ones any; undefined where there is none. */
export interface ChannelStatistics extends Statistics {
  least?: Extreme;
  greatest?: Extreme;
}

export interface Extreme {
  value: number;
  ms: number;
}

export const noStatistics: Statistics = { valueCount: 0, absentCount: 0, sum: 0, sumRest: 0, squares: 0 };

/** Times from one to another, in ms and both included. */
const anyTime: MsRange = { fromMs: -msMax, toMs: msMax };

/**
 * @param times Unix seconds, NaN where there is none
 * @param values NaN where there is no reading
 */
export function statisticsOf(times: Float64Array, values: Float64Array, range = anyTime): Statistics {
  let [valueCount, absentCount, sum, sumRest] = [0, 0, 0, 0];
  const isInside = (i: number) => {
    const ms = msOf(times[i] as number);
    return ms >= range.fromMs && ms <= range.toMs;
  };
  for (let i = 0; i < values.length; i++) {
    if (!isInside(i)) continue;
    const value = values[i] as number;
    if (Number.isNaN(value)) {
      absentCount++;
      continue;
    }
    valueCount++;
    const total = sum + value;
    const added = total - sum;
    sumRest += sum - (total - added) + (value - added);
    sum = total;
  }
  if (valueCount === 0) return { ...noStatistics, absentCount };
  // In two passes, and what the rounding of the mean has added is taken off: no digits are lost to a large offset.
  const mean = (sum + sumRest) / valueCount;
  let [squares, distances] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    const distance = (values[i] as number) - mean;
    if (Number.isNaN(distance) || !isInside(i)) continue;
    squares += distance * distance;
    distances += distance;
  }
  return { valueCount, absentCount, sum, sumRest, squares: squares - (distances * distances) / valueCount };
}

/** The statistics of two lists as those of one (Chan, Golub and LeVeque). */
export function together(one: Statistics, other: Statistics): Statistics {
  const absentCount = one.absentCount + other.absentCount;
  if (one.valueCount === 0) return { ...other, absentCount };
  if (other.valueCount === 0) return { ...one, absentCount };
  const valueCount = one.valueCount + other.valueCount;
  const sum = one.sum + other.sum;
  const added = sum - one.sum;
  const sumRest = one.sumRest + other.sumRest + (one.sum - (sum - added) + (other.sum - added));
  const apart = meanOf(other) - meanOf(one);
  const between = apart * apart * ((one.valueCount * other.valueCount) / valueCount);
  return { valueCount, absentCount, sum, sumRest, squares: one.squares + other.squares + between };
}

/** NaN where there are no readings. */
export const meanOf = ({ sum, sumRest, valueCount }: Statistics): number => (sum + sumRest) / valueCount;
