import type { ChannelSource } from './channel-source.ts';
import { withRoomFor } from './footprint.ts';
import type { PointLimits } from './limits.ts';
import { readInOrder } from './merge.ts';
import type { Batches } from './points.ts';
import type { Selection } from './selection.ts';
import { byMs } from './selection.ts';
import { firstMsElapsed, type MsRange, msOf } from './time.ts';

/** What newestRange needs of a channel. */
type NewestSource = Pick<
  ChannelSource,
  'chunkCount' | 'pointCount' | 'listNewest' | 'plan' | 'fetch' | 'rest' | 'enlarge'
>;

/** The range of time that a selection asks for. @param zeroMs where relative times count from */
export function msRangeOf({ elapsed_seconds, startMs, endMs }: Selection, zeroMs: number): MsRange {
  const elapsedMs = elapsed_seconds === undefined ? Number.NEGATIVE_INFINITY : firstMsElapsed(zeroMs, elapsed_seconds);
  return { fromMs: Math.max(elapsedMs, startMs ?? elapsedMs), toMs: endMs ?? Number.POSITIVE_INFINITY };
}

/**
 * Narrows a range to its newest `count` points. Chunks are found by walking back from the end, so older data costs nothing.
 * Of these chunks only the times are read, to count points that share a ms as one.
 */
export async function newestRange(
  source: NewestSource,
  range: MsRange,
  count: number,
  limits: PointLimits,
): Promise<MsRange> {
  if (source.pointCount <= count) return range;
  // Some points of the newest chunks may share a ms, have no possible time or lie after the end. Then the search is
  // repeated for more points.
  for (let wanted = count; ; wanted *= 2) {
    const fromMs = Math.max(range.fromMs, await startOfNewest(source, range, wanted, limits));
    const newest = { fromMs, toMs: range.toMs };
    const plan = await source.plan(newest);
    const instants = () => readInOrder({ ...source, plan }, { ...newest, withValues: false }, byMs, limits);
    const narrowed = await withRoomFor({ ...source, plan }, limits, async () => {
      const found = await countOf(instants());
      if (found > count) return { ...newest, fromMs: await instantAt(instants(), found - count) };
      return found === count || fromMs === range.fromMs ? newest : undefined;
    });
    if (narrowed !== undefined) return narrowed;
  }
}

async function countOf(batches: Batches): Promise<number> {
  let count = 0;
  for await (const { times } of batches) count += times.length;
  return count;
}

/** The ms at which the last chunks of a range begin that together hold `count` points; −∞ where there are fewer points. */
async function startOfNewest(
  source: NewestSource,
  { fromMs, toMs }: MsRange,
  count: number,
  { pageChunksMax }: PointLimits,
): Promise<number> {
  let missing = count;
  let beforeSeconds = (toMs + 1) / 1_000;
  for (;;) {
    const chunksWanted = Math.min(Math.ceil((missing * source.chunkCount) / source.pointCount), pageChunksMax);
    const chunks = await source.listNewest(beforeSeconds, chunksWanted);
    for (const { time_min, point_count } of chunks) {
      missing -= point_count;
      const startMs = msOf(time_min);
      if (missing <= 0 || startMs <= fromMs) return startMs;
      beforeSeconds = time_min;
    }
    if (chunks.length < chunksWanted) return Number.NEGATIVE_INFINITY;
  }
}

/** The ms of the point at a position; of the last point, should the channel have fewer points by now. */
async function instantAt(batches: Batches, position: number): Promise<number> {
  let at = Number.NEGATIVE_INFINITY;
  let before = 0;
  for await (const { times } of batches) {
    at = times[Math.min(position - before, times.length - 1)] as number;
    before += times.length;
    if (position < before) break;
  }
  return at;
}
