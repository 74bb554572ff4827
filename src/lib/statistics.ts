/**
 * Sums over a list of readings: enough for its mean and standard deviation, and for those of several lists combined.
 */
export interface Statistics {
  valueCount: number;
  /** Points without a reading. */
  absentCount: number;
  /** The sum of the readings, and its rounding error (compensated summation): the true sum is `sum + sumRest`. */
  sum: number;
  sumRest: number;
  /** The sum of squared distances from the mean. Infinite or NaN when it, or the sum, exceeds float64. */
  squares: number;
}

export const noStatistics: Statistics = { valueCount: 0, absentCount: 0, sum: 0, sumRest: 0, squares: 0 };

/** @param values NaN where there is no reading */
export function statisticsOf(values: Float64Array): Statistics {
  let [absentCount, sum, sumRest] = [0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (Number.isNaN(value)) {
      absentCount++;
      continue;
    }
    const total = sum + value;
    const added = total - sum;
    sumRest += sum - (total - added) + (value - added);
    sum = total;
  }
  const valueCount = values.length - absentCount;
  if (valueCount === 0) return { ...noStatistics, absentCount };
  // Two passes, and a correction for the rounding of the mean: readings with a large offset lose no digits.
  const mean = (sum + sumRest) / valueCount;
  // The sum exceeds float64, so the distances are unknown.
  if (!Number.isFinite(mean)) return { valueCount, absentCount, sum, sumRest, squares: Number.NaN };
  let [squares, squaresRest, distances] = [0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    const distance = (values[i] as number) - mean;
    if (Number.isNaN(distance)) continue;
    const square = distance * distance;
    const total = squares + square;
    // Adds what rounding has cut off. The larger of the two addends must come first in this difference.
    squaresRest += square < squares ? squares - total + square : square - total + squares;
    squares = total;
    distances += distance;
  }
  const around = squares + squaresRest - (distances * distances) / valueCount;
  return { valueCount, absentCount, sum, sumRest, squares: around < 0 ? 0 : around };
}

/** Combines the statistics of two lists into those of both (Chan, Golub and LeVeque). */
export function together(one: Statistics, other: Statistics): Statistics {
  const absentCount = one.absentCount + other.absentCount;
  if (one.valueCount === 0) return { ...other, absentCount };
  if (other.valueCount === 0) return { ...one, absentCount };
  const valueCount = one.valueCount + other.valueCount;
  const sum = one.sum + other.sum;
  const added = sum - one.sum;
  const sumRest = one.sumRest + other.sumRest + (one.sum - (sum - added) + (other.sum - added));
  const apart = meanOf(other) - meanOf(one) + (meanRest(other) - meanRest(one));
  const between = apart * apart * ((one.valueCount * other.valueCount) / valueCount);
  const squares = Number.isFinite(sum) ? one.squares + other.squares + between : Number.NaN;
  return { valueCount, absentCount, sum, sumRest, squares };
}

/**
 * Combines many statistics. It always combines two that stand for equally many lists, so that the rounding error grows
 * with the logarithm of their number.
 */
export function createTotal() {
  /** Partial results, each with the number of lists that it combines, a power of two; the largest first. */
  const sums: { lists: number; statistics: Statistics }[] = [];
  return {
    add(statistics: Statistics): void {
      let total = statistics;
      let lists = 1;
      for (let last = sums.at(-1); last?.lists === lists; last = sums.at(-1)) {
        sums.pop();
        total = together(last.statistics, total);
        lists *= 2;
      }
      sums.push({ lists, statistics: total });
    },
    sum: (): Statistics => sums.reduceRight((total, { statistics }) => together(statistics, total), noStatistics),
  };
}

/** The mean; NaN when there are no readings. */
export const meanOf = ({ sum, sumRest, valueCount }: Statistics): number => (sum + sumRest) / valueCount;

/** The rounding error of the mean. It matters for means that are far from 0 and close together. */
function meanRest(statistics: Statistics): number {
  const { sum, sumRest, valueCount } = statistics;
  const mean = meanOf(statistics);
  const product = mean * valueCount;
  const [meanHigh, countHigh] = [upperHalf(mean), upperHalf(valueCount)];
  const [meanLow, countLow] = [mean - meanHigh, valueCount - countHigh];
  // The rounding error of the product (Dekker).
  const productRest = meanLow * countLow - (product - meanHigh * countHigh - meanLow * countHigh - meanHigh * countLow);
  const rest = (sum - product - productRest + sumRest) / valueCount;
  // Near the largest float64 the halves overflow. There only a distance of 0 has a finite square, so the error does not
  // matter.
  return Number.isFinite(rest) ? rest : 0;
}

/** The upper 26 bits of a float64. */
function upperHalf(number: number): number {
  const shifted = number * 134_217_729;
  return shifted - (shifted - number);
}
