/**
 * What is known of readings besides the readings: enough to tell their mean and standard deviation, and those of several
 * such lists together.
 */
export interface Statistics {
  valueCount: number;
  /** Points without a reading. */
  absentCount: number;
  /** The sum of the readings, and what it lacks by rounding. */
  sum: number;
  sumRest: number;
  /** The sum of their squared distances from their mean. Where it, or the sum, is beyond float64, it is infinite or NaN. */
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
  // In two passes, and what the rounding of the mean has added is taken off: no digits are lost to a large offset.
  const mean = (sum + sumRest) / valueCount;
  // A sum beyond float64; nothing is known of distances then.
  if (!Number.isFinite(mean)) return { valueCount, absentCount, sum, sumRest, squares: Number.NaN };
  let [squares, squaresRest, distances] = [0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    const distance = (values[i] as number) - mean;
    if (Number.isNaN(distance)) continue;
    const square = distance * distance;
    const total = squares + square;
    // What rounding has cut off; a sum of squares is never less than one of them.
    squaresRest += square < squares ? squares - total + square : square - total + squares;
    squares = total;
    distances += distance;
  }
  const around = squares + squaresRest - (distances * distances) / valueCount;
  return { valueCount, absentCount, sum, sumRest, squares: around < 0 ? 0 : around };
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
  const apart = meanOf(other) - meanOf(one) + (meanRest(other) - meanRest(one));
  const between = apart * apart * ((one.valueCount * other.valueCount) / valueCount);
  const squares = Number.isFinite(sum) ? one.squares + other.squares + between : Number.NaN;
  return { valueCount, absentCount, sum, sumRest, squares };
}

/**
 * Takes many statistics together. Two are added that stand for about as many lists each, so that rounding grows with the logarithm of
 * their number.
 */
export function createTotal() {
  /** Each with the number of lists that it stands for, a power of two; from many to few. */
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

/** NaN where there are no readings. */
export const meanOf = ({ sum, sumRest, valueCount }: Statistics): number => (sum + sumRest) / valueCount;

/** What the mean lacks by rounding: means that lie close together far from 0 differ by little more. */
function meanRest(statistics: Statistics): number {
  const { sum, sumRest, valueCount } = statistics;
  const mean = meanOf(statistics);
  const product = mean * valueCount;
  const [meanHigh, countHigh] = [upperHalf(mean), upperHalf(valueCount)];
  const [meanLow, countLow] = [mean - meanHigh, valueCount - countHigh];
  // What the product lacks by rounding (Dekker).
  const productRest = meanLow * countLow - (product - meanHigh * countHigh - meanLow * countHigh - meanHigh * countLow);
  const rest = (sum - product - productRest + sumRest) / valueCount;
  // Near the largest float64 halves overflow; there no square of a distance is finite but that of 0.
  return Number.isFinite(rest) ? rest : 0;
}

/** The upper 26 bits of a float64. */
function upperHalf(number: number): number {
  const shifted = number * 134_217_729;
  return shifted - (shifted - number);
}
