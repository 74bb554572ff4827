import { gridOver } from './buckets.ts';
import type { ChunkPlan, SummaryPlan } from './chunk-plan.ts';
import { readExtremes } from './extremes.ts';
import type { PointLimits } from './limits.ts';
import { lineBreaksOf, withLineBreaks } from './line-breaks.ts';
import { type PlannedChannel, readInOrder } from './merge.ts';
import type { Batches, Gap, PointRead } from './points.ts';
import { byMs } from './selection.ts';
import type { MsRange } from './time.ts';

/**
 * At most so many points, nulls between them included: all of them where they are no more, else the extreme values of
 * equal parts of the time in which there are any. Two points a part, and half of them at most where a null may follow
 * every one.
 */
export async function downSample(
  source: PlannedChannel<SummaryPlan>,
  range: MsRange,
  gaps: readonly Gap[],
  pointsMax: number,
  limits: PointLimits,
): Promise<PointRead['batches']> {
  const breaks = lineBreaksOf(gaps);
  const broken = (points: Batches) => (breaks.length === 0 ? points : withLineBreaks(points, breaks));
  const readAll: PointRead['batches'] = ({ withValues, limits: shared = limits }) =>
    broken(readInOrder(source, { ...range, withValues }, byMs, shared));
  const held = spanOf(source.plan, range);
  const mayBeFew = pointsWithin(source.plan, range) <= pointsMax || held.toMs - held.fromMs < pointsMax;
  if (mayBeFew && !(await exceeds(readAll({ withValues: false }), pointsMax))) return readAll;
  const grid = gridOver(held, Math.floor(pointsMax / (breaks.length === 0 ? 2 : 4)));
  return ({ limits: shared = limits }) => broken(readExtremes(source, grid, shared));
}

/** The part of a range in which the chunks of a plan have points. */
function spanOf({ length, firstMs, lastMs }: ChunkPlan, { fromMs, toMs }: MsRange): MsRange {
  let last = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < length; i++) last = Math.max(last, lastMs[i] as number);
  return { fromMs: Math.max(fromMs, firstMs[0] ?? Number.POSITIVE_INFINITY), toMs: Math.min(toMs, last) };
}

/** The points of the chunks that lie inside a range with all of theirs. */
function pointsWithin({ length, firstMs, lastMs, pointCounts }: ChunkPlan, { fromMs, toMs }: MsRange): number {
  let points = 0;
  for (let i = 0; i < length; i++) {
    if ((firstMs[i] as number) >= fromMs && (lastMs[i] as number) <= toMs) points += pointCounts[i] as number;
  }
  return points;
}

async function exceeds(batches: Batches, pointsMax: number): Promise<boolean> {
  let count = 0;
  for await (const { times } of batches) {
    count += times.length;
    if (count > pointsMax) return true;
  }
  return false;
}
