import { GrowingFloats } from '../lib/growing-floats.ts';
import { msOf } from './time.ts';

/**
 * Which chunks a read goes through, in order: 28 bytes a chunk and no object, so that a channel of a million chunks can
 * be planned in memory.
 */
export interface ChunkPlan {
  length: number;
  /** All points of these chunks, the ones without a possible time too. */
  pointCount: number;
  chunkIndexes: Float64Array;
  pointCounts: Float64Array;
  /** Span of the times of each chunk, in ms. */
  firstMs: Float64Array;
  lastMs: Float64Array;
}

/** Collects a plan; times arrive in seconds. */
export function createChunkPlan() {
  const chunkIndexes = new GrowingFloats();
  const pointCounts = new GrowingFloats();
  const firstMs = new GrowingFloats();
  const lastMs = new GrowingFloats();
  let pointCount = 0;
  const asAdded = (): ChunkPlan => ({
    length: chunkIndexes.length,
    pointCount,
    chunkIndexes: chunkIndexes.view(),
    pointCounts: pointCounts.view(),
    firstMs: firstMs.view(),
    lastMs: lastMs.view(),
  });
  return {
    add(chunkIndex: number, points: number, timeMin: number, timeMax: number) {
      chunkIndexes.push(chunkIndex);
      pointCounts.push(points);
      firstMs.push(msOf(timeMin));
      lastMs.push(msOf(timeMax));
      pointCount += points;
    },
    asAdded,
    /** In order of first time, then of chunk index, in which they must have been added. */
    byTime: () => sortedByTime(asAdded()),
  };
}

/** Indexes of the chunks of one page after the other, in the order of the plan; one chunk is a page however long it is. */
export function* pagesOf(
  { length, chunkIndexes, pointCounts }: ChunkPlan,
  pagePointsMax: number,
): Generator<number[], void, void> {
  let page: number[] = [];
  let points = 0;
  for (let i = 0; i < length; i++) {
    points += pointCounts[i] as number;
    if (page.length > 0 && (points > pagePointsMax || page.length === pageChunksMax)) {
      yield page;
      page = [];
      points = pointCounts[i] as number;
    }
    page.push(chunkIndexes[i] as number);
  }
  if (page.length > 0) yield page;
}

const pageChunksMax = 5_000;

function sortedByTime(plan: ChunkPlan): ChunkPlan {
  const { firstMs } = plan;
  if (firstMs.every((ms, i) => i === 0 || ms >= (firstMs[i - 1] as number))) return plan;
  const order = Uint32Array.from(firstMs, (_, i) => i);
  order.sort((a, b) => (firstMs[a] as number) - (firstMs[b] as number) || a - b);
  const pick = (numbers: Float64Array) => Float64Array.from(order, (i) => numbers[i] as number);
  return {
    ...plan,
    chunkIndexes: pick(plan.chunkIndexes),
    pointCounts: pick(plan.pointCounts),
    firstMs: pick(firstMs),
    lastMs: pick(plan.lastMs),
  };
}
