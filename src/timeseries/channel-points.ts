import { gridOver } from './buckets.ts';
import type { ChunkPlan, SummaryPlan } from './chunk-plan.ts';
import { readExtremes } from './extremes.ts';
import { findGaps, type Gap, type GapSource } from './gaps.ts';
import { lineBreaksOf, withLineBreaks } from './line-breaks.ts';
import type { Points } from './point-buffer.ts';
import { type PointBounds, type PointSource, readPoints } from './point-reader.ts';
import type { Selection } from './stream-read.ts';
import type { MsRange } from './time.ts';
import { type NewestSource, newestRange, rangeOf } from './window.ts';

/** A channel, as far as reading its points needs it. */
export interface ChannelSource extends NewestSource, GapSource {
  planWithSummaries(range: MsRange): Promise<SummaryPlan>;
}

/** The points of a channel that a selection wants, in order of ms, one per ms. */
export interface ChannelPoints {
  /** The chunks that are missing among them; told where points are down-sampled. */
  gaps: Gap[];
  /** Can be read again; each batch is valid until the next one is asked for. Without values they are empty. */
  read(withValues: boolean): AsyncGenerator<Points, void, void>;
}

/** Finds out what a selection leaves of a channel; `zeroMs` is where relative times count from. */
export async function openChannelPoints(
  source: ChannelSource,
  selection: Selection,
  zeroMs: number,
  bounds: PointBounds,
): Promise<ChannelPoints> {
  let range = rangeOf(selection, zeroMs);
  if (selection.last_n !== undefined) range = await newestRange(source, range, selection.last_n, bounds);
  if (selection.max_points === undefined) {
    const plan = await source.plan(range);
    return {
      gaps: [],
      read: (withValues) => readPoints({ plan, fetch: source.fetch }, { ...range, withValues }, bounds),
    };
  }
  const plan = await source.planWithSummaries(range);
  const gaps = await findGaps(source, plan, range);
  return { gaps, read: await downSample({ plan, fetch: source.fetch }, range, gaps, selection.max_points, bounds) };
}

/**
 * At most so many points, nulls between them included: all of them where they are no more, else the extreme values of
 * equal parts of the time in which there are any. Two points a part, and half of them at most where a null may follow
 * every one.
 */
async function downSample(
  source: PointSource<SummaryPlan>,
  range: MsRange,
  gaps: readonly Gap[],
  pointsMax: number,
  bounds: PointBounds,
): Promise<ChannelPoints['read']> {
  const breaks = lineBreaksOf(gaps);
  const broken = (points: AsyncGenerator<Points, void, void>) =>
    breaks.length === 0 ? points : withLineBreaks(points, breaks);
  const readAll = (withValues: boolean) => broken(readPoints(source, { ...range, withValues }, bounds));
  const held = spanOf(source.plan, range);
  const mayBeFew = pointsWithin(source.plan, range) <= pointsMax || held.toMs - held.fromMs < pointsMax;
  if (mayBeFew && !(await exceeds(readAll(false), pointsMax))) return readAll;
  const grid = gridOver(held, Math.floor(pointsMax / (breaks.length === 0 ? 2 : 4)));
  return () => broken(readExtremes(source, grid, bounds));
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

async function exceeds(batches: AsyncGenerator<Points, void, void>, pointsMax: number): Promise<boolean> {
  let count = 0;
  for await (const { ms } of batches) {
    count += ms.length;
    if (count > pointsMax) return true;
  }
  return false;
}
