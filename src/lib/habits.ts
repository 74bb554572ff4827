/** What makes a habit of a channel: how far its chunks are apart in their index, and how many points they have. */
export interface HabitLimits {
  /** Steps from one stored chunk to the next that are looked at on each side of a hole. */
  besideStepsMax: number;
  /** Of fewer steps nothing is learnt: then every index is expected. */
  habitStepsMin: number;
  /** A number of points is usual when so many chunks of the channel have it, */
  habitChunksMin: number;
  /** and this share of all. */
  habitShareMin: number;
}

/**
 * Whether chunks are missing in a step from one stored chunk to the next, by the steps beside it. A channel that takes every index
 * misses the first that is not there; one that takes every fiftieth misses something where a step is wider than fifty; and of one
 * whose steps are now wide and now narrow, as where changes are logged, nobody can tell.
 * @param step what is added to one index to get the next; above 1
 * @param beside the steps before and after it, in any order
 */
export function isMissing(step: number, beside: readonly number[], { habitStepsMin }: HabitLimits): boolean {
  if (beside.length < habitStepsMin) return true;
  const usual = majorityOf(beside);
  return usual !== undefined && step > usual;
}

/** The number that more than half of some are. */
function majorityOf(numbers: readonly number[]): number | undefined {
  return numbers.find((one) => numbers.filter((other) => other === one).length * 2 > numbers.length);
}

/** How many points the chunks of a channel usually have. */
export interface UsualCounts {
  fewest: number;
  most: number;
}

/**
 * @param counted each number of points that chunks have, and how many have it
 * @param chunkCount chunks of the channel
 * @param expected what is usual where nothing else is
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

/** More numbers of points than this cannot be usual at the same time. */
export const usualCountsMax = ({ habitShareMin }: HabitLimits): number => Math.ceil(1 / habitShareMin);
