import { notFound } from '../errors.ts';
import { type ChunkPlan, pageChunksMax } from './chunk-plan.ts';
import { PointBuffer, type Points } from './point-buffer.ts';
import type { ChunkArrays } from './store.ts';
import { type MsRange, msMax } from './time.ts';

/*
 * Reads the points of one channel in order of ms, one per ms, in memory that does not grow with the channel.
 *
 * Chunks are fetched by pages in order of their first time. What lies before the first time of the next chunk is final
 * and goes out; the rest waits in a buffer for the chunks that overlap it. So chunks in order of time pass straight
 * through, and chunks that overlap are merged as far as they overlap. Should more points wait than the buffer may hold
 * (thousands of chunks over the same hour), the earliest of them are finished first, and the chunks that hold later
 * ones are read again: slower, not larger.
 *
 * The plan is made before. A chunk that is stored after it is not part of the read. A chunk that is replaced after it is
 * read as it is when its page is fetched; those of its new points that lie before what has already gone out are left
 * out, so that the answer stays ascending and free of duplicates whatever happens. A chunk that is gone is an error.
 */

/** Fetches chunks by their indexes, in any order. */
export type FetchChunks = (chunkIndexes: readonly number[], withValues: boolean) => Promise<ChunkArrays[]>;

export interface PointSource<Plan extends ChunkPlan = ChunkPlan> {
  plan: Plan;
  fetch: FetchChunks;
}

export interface PointBounds {
  /** Points fetched at a time; one chunk is fetched whole however long it is. */
  pagePointsMax: number;
  /** Points that may wait for chunks that overlap them. */
  bufferPointsMax: number;
}

/** Points outside of the range are left out. */
export interface PointWindow extends MsRange {
  withValues: boolean;
}

/** The points of a window; each batch is valid until the next one is asked for. */
export async function* readPoints(
  { plan, fetch }: PointSource,
  { fromMs, toMs, withValues }: PointWindow,
  { pagePointsMax, bufferPointsMax }: PointBounds,
): AsyncGenerator<Points, void, void> {
  const buffer = new PointBuffer();
  const endMs = Math.min(toMs, msMax);
  /** Everything up to this ms has gone out. */
  let doneMs = Math.max(fromMs, -msMax) - 1;
  /** Later points are not gathered now; they are for another round. */
  let roundMs = endMs;
  let next = 0;
  for (;;) {
    const page = nextPage(plan, next, doneMs, pagePointsMax);
    next = page.end;
    await addPage(buffer, plan, page.positions, fetch, { aboveMs: doneMs, toMs: roundMs, withValues });
    const frontierMs = next < plan.length ? (plan.firstMs[next] as number) : Number.POSITIVE_INFINITY;
    const points = buffer.takeBefore(frontierMs);
    if (points !== undefined) yield points;
    if (roundMs < endMs && frontierMs > roundMs) {
      doneMs = roundMs;
      roundMs = endMs;
      next = 0;
      continue;
    }
    if (next >= plan.length) return;
    doneMs = Math.max(doneMs, frontierMs - 1);
    if (buffer.length > bufferPointsMax && buffer.settledLength() > bufferPointsMax) {
      roundMs = buffer.keepFirst(Math.ceil(bufferPointsMax / 2));
    }
  }
}

/** Positions in the plan of the next chunks that can hold a point above an ms, and where to go on from. */
function nextPage(plan: ChunkPlan, from: number, aboveMs: number, pagePointsMax: number) {
  const positions: number[] = [];
  let points = 0;
  let end = from;
  for (; end < plan.length && positions.length < pageChunksMax; end++) {
    if ((plan.lastMs[end] as number) <= aboveMs) continue;
    points += plan.pointCounts[end] as number;
    if (points > pagePointsMax && positions.length > 0) break;
    positions.push(end);
  }
  return { positions, end };
}

/** Adds the chunks of a page in the order of the plan: the order in which a channel without overlaps is sorted. */
async function addPage(
  buffer: PointBuffer,
  plan: ChunkPlan,
  positions: number[],
  fetch: FetchChunks,
  { aboveMs, toMs, withValues }: { aboveMs: number; toMs: number; withValues: boolean },
): Promise<void> {
  const indexes = positions.map((position) => plan.chunkIndexes[position] as number);
  const fetched = await fetchAll(fetch, indexes, withValues);
  for (const [i, { timestamps, values }] of fetched.entries()) {
    buffer.add(indexes[i] as number, timestamps, values, aboveMs, toMs);
  }
}

/**
 * Fetches chunks and gives them in the order of the indexes that are asked for.
 * @throws ApiError 404 when one is gone
 */
export async function fetchAll(
  fetch: FetchChunks,
  chunkIndexes: readonly number[],
  withValues: boolean,
): Promise<ChunkArrays[]> {
  if (chunkIndexes.length === 0) return [];
  const chunks = await fetch(
    chunkIndexes.toSorted((a, b) => a - b),
    withValues,
  );
  const byIndex = new Map(chunks.map((chunk) => [chunk.chunkIndex, chunk]));
  return chunkIndexes.map((chunkIndex) => {
    const chunk = byIndex.get(chunkIndex);
    // Chunks go with their stream only.
    if (chunk === undefined) throw notFound('data_id');
    return chunk;
  });
}
