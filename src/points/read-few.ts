import { ExtremesOfParts } from './extremes-of-parts.ts';
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
  const stored = source.plan.pointCounts.reduce((sum, points) => sum + points, 0);
  // Where hardly any are beside the range, their values come along, so that they are read once.
  const kept = new KeptPoints(stored <= 2 * pointsMax ? pointsMax : 0);
  const counted = { points: 0, shown: 0, instants: 0 };
  let lastMs = Number.NaN;
  const counting = keeping(read(exactMs, kept.isWhole, limits), kept, counted);
  for await (const { times } of withLineBreaks(counting, breaks)) {
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
  // Where each has a ms of its own, its time is that.
  const collapse = counted.shown > counted.instants ? exactMs : byMs;
  return {
    isWhole: true,
    batches: ({ withValues, limits: shared = limits }) =>
      withLineBreaks(kept.isWhole ? kept.batches(collapse) : read(collapse, withValues, shared), breaks),
  };
}

async function* keeping(batches: Batches, kept: KeptPoints, counted: { points: number }): Batches {
  for await (const points of batches) {
    counted.points += points.times.length;
    kept.add(points);
    yield points;
  }
}

/** Points that are kept as long as they are no more than some. */
class KeptPoints {
  readonly #times: Float64Array;
  readonly #values: Float64Array;
  #length = 0;
  #isWhole: boolean;

  constructor(pointsMax: number) {
    this.#times = new Float64Array(pointsMax);
    this.#values = new Float64Array(pointsMax);
    this.#isWhole = pointsMax > 0;
  }

  get isWhole(): boolean {
    return this.#isWhole;
  }

  add({ times, values }: Points): void {
    this.#isWhole &&= this.#length + times.length <= this.#times.length;
    if (!this.#isWhole) return;
    this.#times.set(times, this.#length);
    this.#values.set(values, this.#length);
    this.#length += times.length;
  }

  async *batches(collapse: Collapse): Batches {
    if (this.#length === 0) return;
    // They were read in ms with fractions; ms have none.
    const times = this.#times.subarray(0, this.#length);
    yield {
      times: collapse === byMs ? times.map((ms) => Math.round(ms) + 0) : times.slice(),
      values: this.#values.slice(0, this.#length),
    };
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
