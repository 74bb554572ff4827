import type { ChunkPlan, SummaryPlan } from './chunk-plan.ts';
import type { MsRange } from './time.ts';

/** How the points of a plan are divided into parts. */
export interface Parts {
  /** How many parts begin in each entry of the plan. An entry with 0 belongs to the part that began last before it. */
  counts: Uint32Array;
  /** How many points come before each entry, counted as `partsOfChunks` counts them. */
  before: Float64Array;
  /** Finds where parts begin inside an entry. @param before points before its first child @param points points of each child */
  beginsIn(before: number, points: Float64Array): Begins;
}

interface Begins {
  /** The children in which parts begin, in order. */
  begins: number[];
  /** How many points come before each of these children. */
  before: number[];
  /** Whether no two parts begin in the same child. */
  areSingle: boolean;
}

/** Divides the points of a range into `partCount` parts with about equally many points each, however they lie in time. */
export function partsOfChunks(plan: SummaryPlan, range: MsRange, partCount: number): Parts {
  const points = pointsOfChunks(plan, range);
  const pointCount = points.reduce((sum, one) => sum + one, 0);
  const begunAfter = (sum: number) => Math.min(partCount, Math.ceil((sum * partCount) / pointCount));
  const counts = new Uint32Array(plan.length);
  const before = new Float64Array(plan.length);
  let sum = 0;
  let begun = 0;
  for (let i = 0; i < points.length; i++) {
    before[i] = sum;
    sum += points[i] as number;
    const due = begunAfter(sum);
    counts[i] = due - begun;
    begun = due;
  }
  return {
    counts,
    before,
    beginsIn(sumBefore, pointCounts) {
      const begins: number[] = [];
      const before: number[] = [];
      let areSingle = true;
      let after = sumBefore;
      let begun = after === 0 ? 0 : begunAfter(after);
      for (let at = 0; at < pointCounts.length; at++) {
        const atBegin = after;
        after += pointCounts[at] as number;
        const due = begunAfter(after);
        if (due <= begun) continue;
        begins.push(at);
        before.push(atBegin);
        if (due > begun + 1) areSingle = false;
        begun = due;
      }
      return { begins, before, areSingle };
    },
  };
}

/** Whether all points of a chunk lie in a range. */
export function isInside({ firstMs, lastMs }: ChunkPlan, position: number, { fromMs, toMs }: MsRange): boolean {
  return (firstMs[position] as number) >= fromMs && (lastMs[position] as number) <= toMs;
}

/**
 * About how many points of each chunk lie in a range. Points that share a ms count once. Of a chunk that reaches out of the
 * range the number inside is the ms inside × the greatest density of any chunk. Its own density says nothing, since a
 * single wrong time stretches its span.
 */
function pointsOfChunks(plan: SummaryPlan, range: MsRange): Float64Array {
  const { length, firstMs, lastMs, pointCounts, fittingPoints } = plan;
  const pointsPerMs = greatestPointsPerMs(plan);
  const points = new Float64Array(length);
  for (let i = 0; i < length; i++) {
    if (isInside(plan, i, range)) {
      points[i] = fittingPoints[i] as number;
      continue;
    }
    const insideMs = Math.min(lastMs[i] as number, range.toMs) - Math.max(firstMs[i] as number, range.fromMs) + 1;
    points[i] = Math.min(pointCounts[i] as number, toExact(Math.max(1, insideMs * pointsPerMs)));
  }
  return points;
}

/** Rounds a number of points to a multiple of 2^-20. So sums are exact, and the same whether chunks are added one by one or as blocks. */
const toExact = (points: number) => Math.round(points * 2 ** 20) / 2 ** 20;

function greatestPointsPerMs({ length, pointsPerMs }: SummaryPlan): number {
  let greatest = 0;
  for (let i = 0; i < length; i++) greatest = Math.max(greatest, pointsPerMs[i] as number);
  return Math.min(1, greatest);
}
