import type { PointLimits } from './limits.ts';
import { type LineBreaks, withLineBreaks } from './line-breaks.ts';
import { type PlannedChannel, readInOrder } from './merge.ts';
import type { PointRead } from './points.ts';
import { byMs, type Collapse, exactMs } from './selection.ts';
import type { MsRange } from './time.ts';

/**
 * All points of a range, nulls between them included, where they are no more than there may be. Points that share a millisecond are all
 * shown, with fractions of it, where there is room for them; else, and where none do, one of each.
 * @returns undefined when even those are more
 */
export async function readFew(
  source: PlannedChannel,
  range: MsRange,
  breaks: LineBreaks,
  pointsMax: number,
  limits: PointLimits,
): Promise<PointRead['batches'] | undefined> {
  const readBy =
    (collapse: Collapse): PointRead['batches'] =>
    ({ withValues, limits: shared = limits }) =>
      withLineBreaks(readInOrder(source, { ...range, withValues }, collapse, shared), breaks);
  const counted = { points: 0, instants: 0 };
  let lastMs = Number.NaN;
  for await (const { times } of readBy(exactMs)({ withValues: false })) {
    counted.points += times.length;
    for (const time of times) {
      const ms = Math.round(time);
      if (ms !== lastMs) counted.instants++;
      lastMs = ms;
    }
    if (counted.instants > pointsMax) return undefined;
  }
  const isExact = counted.points > counted.instants && counted.points <= pointsMax;
  return readBy(isExact ? exactMs : byMs);
}
