import type { ChunkPlan } from './chunk-plan.ts';
import { type PointBounds, type PointSource, type PointWindow, readPoints } from './point-reader.ts';
import type { Selection } from './stream-read.ts';
import { firstMsElapsed } from './time.ts';

export type Window = Required<Omit<PointWindow, 'withValues'>>;

/**
 * What a selection leaves of a channel. For the newest points only their chunks are read, once for their times, to
 * count what collapses into one ms, and once by whoever uses the window.
 */
export async function windowOf(
  source: PointSource,
  { last_n, elapsed_seconds }: Selection,
  zeroMs: number,
  bounds: PointBounds,
): Promise<Window> {
  const fromMs = elapsed_seconds === undefined ? Number.NEGATIVE_INFINITY : firstMsElapsed(zeroMs, elapsed_seconds);
  if (last_n === undefined || source.plan.pointCount <= last_n) return { fromMs, skip: 0 };
  const order = newestFirst(source.plan);
  // Some of the newest chunks' points may share a ms or have no possible time; then more chunks are counted.
  for (let wanted = last_n; ; wanted *= 2) {
    const from = Math.max(fromMs, startOfNewest(source.plan, order, wanted));
    const found = await countPoints(source, from, bounds);
    if (found >= last_n || from === fromMs) return { fromMs: from, skip: Math.max(0, found - last_n) };
  }
}

async function countPoints(source: PointSource, fromMs: number, bounds: PointBounds): Promise<number> {
  let count = 0;
  for await (const points of readPoints(source, { fromMs, withValues: false }, bounds)) count += points.ms.length;
  return count;
}

/** Positions in the plan, by last time from the newest to the oldest. */
function newestFirst({ lastMs }: ChunkPlan): Uint32Array {
  const order = Uint32Array.from(lastMs, (_, i) => lastMs.length - 1 - i);
  const isSorted = lastMs.every((ms, i) => i === 0 || ms >= (lastMs[i - 1] as number));
  return isSorted ? order : order.sort((a, b) => (lastMs[b] as number) - (lastMs[a] as number));
}

/** The ms from which on every point stands in the newest chunks that together hold so many. */
function startOfNewest(plan: ChunkPlan, order: Uint32Array, count: number): number {
  let points = 0;
  for (const position of order) {
    if (points >= count) return (plan.lastMs[position] as number) + 1;
    points += plan.pointCounts[position] as number;
  }
  return Number.NEGATIVE_INFINITY;
}
