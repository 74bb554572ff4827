import { Buckets, bucketOf, type Grid } from './buckets.ts';
import { pageChunksMax, type SummaryPlan } from './chunk-plan.ts';
import type { Points } from './point-buffer.ts';
import { fetchAll, type PointBounds, type PointSource } from './point-reader.ts';
import { msOf } from './time.ts';

/**
 * Reads the smallest and the largest value of each bucket of a channel, in order of ms and in memory that does not grow
 * with the channel. A chunk that lies inside one bucket is known by its summary; only the arrays of chunks that lie across
 * a border are read.
 *
 * As in point-reader.ts chunks are taken in order of their first time, and a bucket is final when the next chunk begins
 * behind it. All stored points count, also those that share a ms, of which a plain read shows the last.
 */
export async function* readExtremes(
  { plan, fetch }: PointSource<SummaryPlan>,
  grid: Grid,
  { pagePointsMax }: PointBounds,
): AsyncGenerator<Points, void, void> {
  const buckets = new Buckets(grid);
  for (let next = 0; next < plan.length; ) {
    const across: number[] = [];
    let points = 0;
    for (; next < plan.length && across.length < pageChunksMax; next++) {
      if (isInsideOneBucket(plan, next, grid)) {
        addSummary(buckets, plan, next);
        continue;
      }
      points += plan.pointCounts[next] as number;
      if (points > pagePointsMax && across.length > 0) break;
      across.push(plan.chunkIndexes[next] as number);
    }
    for (const { timestamps, values } of await fetchAll(fetch, across, true)) {
      addPoints(buckets, grid, timestamps, values);
    }
    const isEnd = next === plan.length;
    const final = buckets.takeBefore(isEnd ? grid.bucketCount : bucketOf(grid, plan.firstMs[next] as number));
    if (final.ms.length > 0) yield final;
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

function addPoints(buckets: Buckets, { fromMs, toMs }: Grid, timestamps: Float64Array, values: Float64Array): void {
  for (let i = 0; i < timestamps.length; i++) {
    const ms = msOf(timestamps[i] as number);
    // An absent time is NaN and fails both comparisons.
    if (ms >= fromMs && ms <= toMs) buckets.add(ms, values[i] as number);
  }
}
