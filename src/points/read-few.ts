import type { ChunkPlan } from './chunk-plan.ts';
import { ExtremesOfParts } from './extremes-of-parts.ts';
import type { PointLimits } from './limits.ts';
import { type LineBreaks, withLineBreaks } from './line-breaks.ts';
import { type PlannedChannel, readInOrder } from './merge.ts';
import type { Batches, PointRead, Points } from './points.ts';
import { byMs, type Collapse, exactMs } from './selection.ts';
import type { MsRange } from './time.ts';

/** The points of a range in which at most `pointsMax` different ms have points. */
export type FewPoints =
  | { isWhole: true; batches: PointRead['batches']; keptPoints: number }
  /** Some points share a ms, and all of them are more than may be shown: some have to be chosen. */
  | { isWhole: false; choose(partCount: number, limits: PointLimits): Promise<Points> };

/**
 * All points of a range, where they and the nulls between them are at most `pointsMax`. Points that share a ms are all
 * shown, with fractions of a ms, where there is room. Otherwise the range is divided into parts of as many points each, and
 * the smallest and largest of each part are chosen, also with their exact times. Of points of one exact time the last
 * counts.
 * @returns undefined where even one point of each ms is too many
 */
export async function readAllIfFew(
  source: PlannedChannel,
  range: MsRange,
  breaks: LineBreaks,
  pointsMax: number,
  limits: PointLimits,
): Promise<FewPoints | undefined> {
  const read = (collapse: Collapse, withValues: boolean, shared: PointLimits) =>
    readInOrder(source, { ...range, withValues }, collapse, shared);
  const kept = new KeptPoints(roomToKeep(source.plan, pointsMax, limits));
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
  // Where every point has a ms of its own, times are whole ms.
  const collapse = counted.shown > counted.instants ? exactMs : byMs;
  return {
    isWhole: true,
    keptPoints: kept.isWhole ? kept.room : 0,
    batches: ({ withValues, limits: shared = limits }) =>
      withLineBreaks(kept.isWhole ? kept.batches(collapse) : read(collapse, withValues, shared), breaks),
  };
}

/**
 * How many points are kept, so that they are read only once: all, where the chunks have few points outside of the range
 * and they fit; otherwise none.
 */
export function roomToKeep({ pointCounts }: ChunkPlan, pointsMax: number, { keptPointsMax }: PointLimits): number {
  const stored = pointCounts.reduce((sum, points) => sum + points, 0);
  const room = Math.min(stored, pointsMax);
  return stored <= 2 * pointsMax && room <= keptPointsMax ? room : 0;
}

async function* keeping(batches: Batches, kept: KeptPoints, counted: { points: number }): Batches {
  for await (const points of batches) {
    counted.points += points.times.length;
    kept.add(points);
    yield points;
  }
}

/** Keeps points as long as they are at most `pointsMax`. */
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

  get room(): number {
    return this.#times.length;
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
    // They were read as ms with fractions; for `byMs` they are rounded here.
    const times = this.#times.subarray(0, this.#length);
    yield {
      times: collapse === byMs ? times.map((ms) => Math.round(ms) + 0) : times.slice(),
      values: this.#values.slice(0, this.#length),
    };
  }
}

/** The smallest and the largest of each of `partCount` parts, in order of time. @param count how many points there are */
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
