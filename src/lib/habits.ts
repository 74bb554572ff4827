/**
 * Limits for learning what is usual in a channel: the step between the indices of its chunks, and their number of
 * points.
 */
export interface HabitLimits {
  /** Steps from one stored chunk to the next that are examined on each side of a hole. */
  besideStepsMax: number;
  /** Fewer steps than this teach nothing: then every index is expected. */
  habitStepsMin: number;
  /** A number of points is usual when at least so many chunks of the channel have it (and the share below), */
  habitChunksMin: number;
  /** and at least this share of all its chunks, from 0 to 1. */
  habitShareMin: number;
}

/**
 * Decides from the neighbouring steps whether chunks are missing in a step from one stored chunk to the next. A channel
 * that uses every index misses the first one that is not stored. A channel that uses every fiftieth misses something
 * where a step is wider than fifty. In a channel with irregular steps, such as a log of changes, nothing counts as
 * missing.
 * @param step the next stored index minus this one; above 1
 * @param beside the steps before and after it, in any order
 */
export function isMissing(step: number, beside: readonly number[], { habitStepsMin }: HabitLimits): boolean {
  if (beside.length < habitStepsMin) return true;
  const usual = majorityOf(beside);
  return usual !== undefined && step > usual;
}

/** The value that more than half of the numbers have. */
function majorityOf(numbers: readonly number[]): number | undefined {
  return numbers.find((one) => numbers.filter((other) => other === one).length * 2 > numbers.length);
}

/** How many points the chunks of a channel usually have. */
export interface UsualCounts {
  fewest: number;
  most: number;
}

/**
 * @param counted for each number of points, how many chunks of the channel have it
 * @param chunkCount all chunks of the channel
 * @param expected the answer when no number of points is usual
 */
export function usualCountsOf(
  counted: readonly { pointCount: number; chunks: number }[],
  chunkCount: number,
  expected: number,
  { habitChunksMin, habitShareMin }: HabitLimits,
): UsualCounts {
  const enough = Math.max(habitChunksMin, habitShareMin * chunkCount);
  const usual = counted.filter(({ chunks }) => chunks >= enough).map(({ pointCount }) => pointCount);
  if (usual.length === 0) return { fewest: expected, most: expected };
  return { fewest: Math.min(...usual), most: Math.max(...usual) };
}

/**
 * The largest count of numbers of points that can be usual at the same time, since each needs `habitShareMin` of all
 * chunks.
 */
export const usualCountsMax = ({ habitShareMin }: HabitLimits): number => Math.ceil(1 / habitShareMin);
