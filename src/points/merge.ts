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
 * Chunks are fetched in pages, in order of their first time. All points before the first time of the next chunk are final
 * and go out. The rest wait in a buffer for the chunks that overlap them. So long chunks that follow each other are passed
 * on in the arrays in which they came, and overlapping chunks are merged only where they overlap. When more points wait
 * than the buffer may hold (thousands of chunks over the same hour), the earliest of them are finished first, and the
 * chunks that hold later points are read again. That is slower, but takes no more memory.
 *
 * The plan is made before the read. A chunk that is stored later is not part of the read. A chunk that is replaced later is
 * read as it is when its page is fetched. Those of its new points that lie before what has already gone out are left out:
 * the answer stays ascending and free of duplicates in any case. A chunk that is gone is an error.
 */

/** A channel whose chunks have been planned. */
export interface PlannedChannel<Plan extends ChunkPlan = ChunkPlan> {
  plan: Plan;
  fetch: FetchChunks;
  /** Is awaited between two steps of work, so that other reads have their turn of the event loop. */
  rest: Reading['rest'];
}

/** A range outside of which points are left out. */
export interface PointWindow extends MsRange {
  withValues: boolean;
}

/** The points in a window. Points without a possible time are left out. */
export async function* readInOrder(
  { plan, fetch, rest }: PlannedChannel,
  { fromMs, toMs, withValues }: PointWindow,
  collapse: Collapse,
  limits: PointLimits,
): Batches {
  const { bufferPointsMax } = limits;
  const buffer = new PointBuffer(collapse);
  const endMs = Math.min(toMs, msMax);
  /** All points up to this ms have gone out. */
  let doneMs = Math.max(fromMs, -msMax) - 1;
  /** Points after this ms are left for the next round. */
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
