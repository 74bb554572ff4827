import type { ChannelSource } from './channel-source.ts';
import { downSample } from './down-sample.ts';
import { findGaps } from './gaps.ts';
import type { PointLimits } from './limits.ts';
import { readInOrder } from './merge.ts';
import type { PointRead } from './points.ts';
import type { Wanted } from './selection.ts';
import { newestRange, rangeOf } from './window.ts';

/** Finds out what a selection leaves of a channel, in order of time. */
export async function openChannelPoints(
  source: ChannelSource,
  { selection, zeroMs, collapse }: Wanted,
  limits: PointLimits,
): Promise<PointRead> {
  let range = rangeOf(selection, zeroMs);
  if (selection.last_n !== undefined) range = await newestRange(source, range, selection.last_n, limits);
  if (selection.max_points === undefined) {
    const plan = await source.plan(range);
    return {
      gaps: [],
      batches: ({ withValues }) =>
        readInOrder({ plan, fetch: source.fetch }, { ...range, withValues }, collapse, limits),
    };
  }
  const plan = await source.planWithSummaries(range);
  const gaps = await findGaps(source, plan, range);
  const batches = await downSample({ plan, fetch: source.fetch }, range, gaps, selection.max_points, limits);
  return { gaps, batches };
}
