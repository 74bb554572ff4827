import type { Grid } from './buckets.ts';
import type { ChunkPlan, SummaryPlan } from './chunk-plan.ts';
import { readExtremes } from './extremes.ts';
import { gridOver } from './grid.ts';
import type { PointLimits } from './limits.ts';
import { type LineBreaks, lineBreaksOf, withLineBreaks } from './line-breaks.ts';
import type { PlannedChannel } from './merge.ts';
import type { Batches, Gap, PointRead } from './points.ts';
import { readFew } from './read-few.ts';
import type { MsRange } from './time.ts';

/**
 * At most so many points, nulls between them included: all of them where they are no more, else the extreme values of
 * parts that hold about as many points each. Two points a part at most, and room for the nulls.
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
  const held = spanOf(source.plan, range);
  const mayBeFew = pointsWithin(source.plan, range) <= pointsMax || held.toMs - held.fromMs < pointsMax;
  const few = mayBeFew ? await readFew(source, range, breaks, pointsMax, limits) : undefined;
  if (few !== undefined) return few;
  const partCount = partCountFor(pointsMax, breaks, source.plan);
  // Made once, and not before points are asked for: it may take another pass over the times.
  let made: Promise<Grid> | undefined;
  return async function* ({ limits: shared = limits }) {
    made ??= gridOver(source, held, partCount, shared);
    yield* broken(readExtremes(source, await made, shared));
  };
}

/**
 * How many parts leave room for the nulls: one for each break where no chunk lies in any, else one after every point that
 * is shown.
 */
function partCountFor(pointsMax: number, breaks: LineBreaks, plan: ChunkPlan): number {
  const ifBetweenAll = Math.floor(pointsMax / 4);
  if (breaks.length === 0) return Math.floor(pointsMax / 2);
  if (isAnyChunkIn(breaks, plan)) return ifBetweenAll;
  return Math.max(ifBetweenAll, Math.floor((pointsMax - breaks.length) / 2));
}

/** Whether the span of a chunk reaches into a break. Both are in order of where they begin. */
function isAnyChunkIn(breaks: LineBreaks, { length, firstMs, lastMs }: ChunkPlan): boolean {
  let next = 0;
  for (const { lowMs, highMs } of breaks) {
    let reach = Number.NEGATIVE_INFINITY;
    for (; next < length && (firstMs[next] as number) < highMs; next++) reach = Math.max(reach, lastMs[next] as number);
    if (reach > lowMs) return true;
  }
  return false;
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
