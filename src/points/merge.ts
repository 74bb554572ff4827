import type { Reading } from '../lib/reading.ts';
import type { FetchChunks } from './channel-source.ts';
import type { ChunkPlan } from './chunk-plan.ts';
import type { PointLimits } from './limits.ts';
import { fetchPage, nextPage } from './pages.ts';
import { followEachOther, passOn } from './pass-on.ts';
import { PointBuffer } from './point-buffer.ts';
import type { Batches } from './points.ts';
import type { Collapse } from './selection.ts';
import { type MsRange, msMax } from './time.ts';

/*
 * Reads the points of one channel in order of time, in memory that does not grow with the channel.
 *
 * Chunks are fetched by pages in order of their first time. What lies before the first time of the next chunk is final
 * and goes out; the rest waits in a buffer for the chunks that overlap it. So long chunks in order of time are passed on
 * in the arrays in which they came, and chunks that overlap are merged as far as they overlap. Should more points wait than the buffer may hold
 * (thousands of chunks over the same hour), the earliest of them are finished first, and the chunks that hold later
 * ones are read again: slower, not larger.
 *
 * The plan is made before. A chunk that is stored after it is not part of the read. A chunk that is replaced after it is
 * read as it is when its page is fetched; those of its new points that lie before what has already gone out are left
 * out, so that the answer stays ascending and free of duplicates whatever happens. A chunk that is gone is an error.
 */

/** A channel whose chunks have been planned. */
export interface PlannedChannel<Plan extends ChunkPlan = ChunkPlan> {
  plan: Plan;
  fetch: FetchChunks;
  /** Is awaited between two steps of work. */
  rest: Reading['rest'];
}

/** Points outside of the range are left out. */
export interface PointWindow extends MsRange {
  withValues: boolean;
}

/** The points of a window that have a possible time. */
export async function* readInOrder(
  { plan, fetch, rest }: PlannedChannel,
  { fromMs, toMs, withValues }: PointWindow,
  collapse: Collapse,
  limits: PointLimits,
): Batches {
  const { bufferPointsMax } = limits;
  const buffer = new PointBuffer(collapse);
  const endMs = Math.min(toMs, msMax);
  /** Everything up to this ms has gone out. */
  let doneMs = Math.max(fromMs, -msMax) - 1;
  /** Later points are not gathered now; they are for another round. */
  let roundMs = endMs;
  let next = 0;
  for (;;) {
    const page = nextPage(plan, next, limits, (position) => (plan.lastMs[position] as number) > doneMs);
    next = page.next;
    const frontierMs = next < plan.length ? (plan.firstMs[next] as number) : Number.POSITIVE_INFINITY;
    const chunks = await fetchPage(fetch, plan, page, withValues);
    if (buffer.length === 0 && followEachOther(chunks, frontierMs)) {
      yield* passOn(chunks, { aboveMs: doneMs, toMs: roundMs }, collapse);
    } else {
      for (const chunk of chunks) buffer.add(chunk, doneMs, roundMs);
      await buffer.sort(rest);
      const points = buffer.takeBefore(frontierMs);
      if (points !== undefined) yield points;
    }
    if (roundMs < endMs && frontierMs > roundMs) {
      doneMs = roundMs;
      roundMs = endMs;
      next = 0;
      continue;
    }
    if (next >= plan.length) return;
    doneMs = Math.max(doneMs, frontierMs - 1);
    if (buffer.length > bufferPointsMax) {
      roundMs = buffer.keepFirst(Math.ceil(bufferPointsMax / 2));
    }
  }
}
