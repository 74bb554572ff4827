import { Buckets, bucketOf, type Grid } from './buckets.ts';
import type { SummaryPlan } from './chunk-plan.ts';
import type { PointLimits } from './limits.ts';
import type { PlannedChannel } from './merge.ts';
import { fetchPage, nextPage } from './pages.ts';
import type { Batches } from './points.ts';
import { msOf } from './time.ts';

/**
 * Reads the smallest and the largest value of each bucket of a channel, in order of ms and in memory that does not grow
 * with the channel. A chunk that lies inside one bucket is known by its summary; only the arrays of chunks that lie across
 * a border are read.
 *
 * As in merge.ts chunks are taken in order of their first time, and a bucket is final when the next chunk begins
 * behind it. All stored points count, also those that share a ms, of which a plain read shows the last.
 */
export async function* readExtremes(
  { plan, fetch, rest }: PlannedChannel<SummaryPlan>,
  grid: Grid,
  limits: PointLimits,
): Batches {
  const buckets = new Buckets(grid);
  const isAcross = (position: number) => !isInsideOneBucket(plan, position, grid);
  for (let from = 0; from < plan.length; ) {
    await rest();
    const page = nextPage(plan, from, limits, isAcross);
    for (let position = from; position < page.next; position++) {
      if (!isAcross(position)) addSummary(buckets, plan, position);
    }
    for (const { times, values } of await fetchPage(fetch, plan, page, true)) {
      addPoints(buckets, grid, times, values);
    }
    from = page.next;
    const isEnd = from === plan.length;
    const final = buckets.takeBefore(isEnd ? grid.starts.length : bucketOf(grid, plan.firstMs[from] as number));
    if (final.times.length > 0) yield final;
  }
}

function isInsideOneBucket({ firstMs, lastMs }: SummaryPlan, position: number, grid: Grid): boolean {
  const [first, last] = [firstMs[position] as number, lastMs[position] as number];
  return first >= grid.fromMs && last <= grid.toMs && bucketOf(grid, first) === bucketOf(grid, last);
}

function addSummary(buckets: Buckets, plan: SummaryPlan, position: number): void {
  const value = plan.minValues[position] as number;
  if (Number.isNaN(value)) {
    buckets.add(plan.firstMs[position] as number, Number.NaN);
    return;
  }
  buckets.add(plan.minMs[position] as number, value);
  buckets.add(plan.maxMs[position] as number, plan.maxValues[position] as number);
}

function addPoints(buckets: Buckets, { fromMs, toMs }: Grid, times: Float64Array, values: Float64Array): void {
  for (let i = 0; i < times.length; i++) {
    const ms = msOf(times[i] as number);
    // An absent time is NaN and fails both comparisons.
    if (ms >= fromMs && ms <= toMs) buckets.add(ms, values[i] as number);
  }
}
