import type { ChannelSource } from './channel-source.ts';
import { withRoomFor } from './footprint.ts';
import type { PointLimits } from './limits.ts';
import { type LineBreaks, msBetween } from './line-breaks.ts';
import { readInOrder } from './merge.ts';
import type { Batches, PointRead, Points } from './points.ts';
import type { Collapse } from './selection.ts';
import type { MsRange } from './time.ts';
import { newestRange } from './window.ts';

/**
 * Finds the last point of a channel before a range, as it is stored; its reading may be absent. Only the chunk of that
 * point is read, and the chunks that overlap it.
 * @returns undefined where the channel has no point before the range, or the range has no beginning
 */
export async function findCarriedIn(
  source: ChannelSource,
  { fromMs }: MsRange,
  collapse: Collapse,
  limits: PointLimits,
): Promise<Points | undefined> {
  if (!Number.isFinite(fromMs)) return undefined;
  const before = { fromMs: Number.NEGATIVE_INFINITY, toMs: fromMs - 1 };
  const range = await newestRange(source, before, 1, limits);
  const planned = { ...source, plan: await source.plan(range) };
  return withRoomFor(planned, limits, () =>
    lastOf(readInOrder(planned, { ...range, withValues: true }, collapse, limits)),
  );
}

async function lastOf(batches: Batches): Promise<Points | undefined> {
  let last: Points | undefined;
  for await (const { times, values } of batches) last = { times: times.slice(-1), values: values.slice(-1) };
  return last;
}

/**
 * Puts one point before a read. Where chunks are missing between the two, a null goes out between them. With breaks, times
 * are in ms.
 */
export function withCarriedIn(
  carried: Points,
  batches: PointRead['batches'],
  breaks: LineBreaks,
): PointRead['batches'] {
  return async function* (options) {
    let isFirst = true;
    for await (const points of batches(options)) {
      if (isFirst) yield beforeBreak(carried, points.times[0] as number, breaks);
      isFirst = false;
      yield points;
    }
    if (isFirst) yield carried;
  };
}

function beforeBreak({ times, values }: Points, next: number, breaks: LineBreaks): Points {
  const nextMs = Math.round(next);
  const [ms, value] = [times[0] as number, values[0] as number];
  const isBroken = breaks.some(({ lowMs, highMs }) => lowMs < nextMs && highMs > ms);
  const middleMs = isBroken ? msBetween(ms, nextMs) : undefined;
  if (middleMs === undefined) return { times, values };
  return { times: Float64Array.of(ms, middleMs), values: Float64Array.of(value, Number.NaN) };
}
