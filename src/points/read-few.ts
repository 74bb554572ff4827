import { ExtremesOfParts } from './extremes.ts';
import type { PointLimits } from './limits.ts';
import { type LineBreaks, withLineBreaks } from './line-breaks.ts';
import { type PlannedChannel, readInOrder } from './merge.ts';
import type { Batches, PointRead, Points } from './points.ts';
import { byMs, type Collapse, exactMs } from './selection.ts';
import type { MsRange } from './time.ts';

/** What there is of a range that has no more ms with points in them than points may be shown. */
export type FewPoints =
  | { isWhole: true; batches: PointRead['batches'] }
  /** Points share ms, and they are more than may be shown: some have to be chosen. */
  | { isWhole: false; choose(partCount: number, limits: PointLimits): Promise<Points> };

/**
 * All points of a range, nulls between them included, where they are no more than there may be. Points that share a millisecond are all
 * shown, with fractions of it, where there is room for them; else the smallest and the largest are chosen of parts that hold as many
 * points each, at their own times too. Of points of one exact time the last counts.
 * @returns undefined when even one of each ms is more
 */
export async function readFew(
  source: PlannedChannel,
  range: MsRange,
  breaks: LineBreaks,
  pointsMax: number,
  limits: PointLimits,
): Promise<FewPoints | undefined> {
  const read = (collapse: Collapse, withValues: boolean, shared: PointLimits) =>
    readInOrder(source, { ...range, withValues }, collapse, shared);
  const counted = { points: 0, shown: 0, instants: 0 };
  let lastMs = Number.NaN;
  for await (const { times } of withLineBreaks(counting(read(exactMs, false, limits), counted), breaks)) {
    counted.shown += times.length;
    for (const time of times) {
      const ms = Math.round(time);
      if (ms !== lastMs) counted.instants++;
      lastMs = ms;
    }
    if (counted.instants > pointsMax) return undefined;
  }
  if (counted.shown > pointsMax) {
    const { points } = counted;
    return {
      isWhole: false,
      choose: (partCount, shared) => extremesInOrder(read(exactMs, true, shared), points, partCount),
    };
  }
  const collapse = counted.shown > counted.instants ? exactMs : byMs;
  return {
    isWhole: true,
    batches: ({ withValues, limits: shared = limits }) => withLineBreaks(read(collapse, withValues, shared), breaks),
  };
}

async function* counting(batches: Batches, counted: { points: number }): Batches {
  for await (const points of batches) {
    counted.points += points.times.length;
    yield points;
  }
}

/** The smallest and the largest of each of so many parts, in order of time. @param count how many points there are */
async function extremesInOrder(batches: Batches, count: number, partCount: number): Promise<Points> {
  const parts = new ExtremesOfParts(partCount);
  let begun = 0;
  let position = 0;
  for await (const { times, values } of batches) {
    for (let i = 0; i < times.length; i++) {
      if (begun < partCount && position * partCount >= begun * count) {
        parts.begin();
        begun++;
      }
      position++;
      parts.add(times[i] as number, values[i] as number);
    }
  }
  return parts.finish();
}
