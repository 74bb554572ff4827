import { findCarriedIn, withCarriedIn } from './carry-in.ts';
import type { ChannelSource } from './channel-source.ts';
import type { SummaryPlan } from './chunk-plan.ts';
import { downSample } from './down-sample.ts';
import { downSampledFootprintOf, footprintOf, requireFewChunks } from './footprint.ts';
import { findGaps } from './gaps.ts';
import type { PointLimits } from './limits.ts';
import { lineBreaksOf } from './line-breaks.ts';
import { readInOrder } from './merge.ts';
import { planCoarsely } from './plan-coarsely.ts';
import type { PlannedRead } from './planned-read.ts';
import type { Wanted } from './selection.ts';
import type { MsRange } from './time.ts';
import { msRangeOf, newestRange } from './window.ts';

/**
 * Plans the read of what a selection wants of a channel, in order of time.
 * @throws ApiError 422 for more chunks than a read may go through
 */
export async function planChannelPoints(
  source: ChannelSource,
  wanted: Wanted,
  limits: PointLimits,
): Promise<PlannedRead> {
  const { selection, zeroMs, collapse } = wanted;
  let range = msRangeOf(selection, zeroMs);
  if (selection.last_n !== undefined) range = await newestRange(source, range, selection.last_n, limits);
  const read = await planRange(source, range, wanted, limits);
  if (selection.carry_in !== true) return read;
  const carried = await findCarriedIn(source, range, collapse, limits);
  if (carried === undefined) return read;
  const batches = withCarriedIn(carried, read.batches, lineBreaksOf(read.gaps));
  return { ...read, batches, carriedTime: carried.times[0] };
}

async function planRange(
  source: ChannelSource,
  range: MsRange,
  { selection: { max_points }, collapse }: Wanted,
  limits: PointLimits,
): Promise<PlannedRead> {
  if (max_points === undefined) {
    const plan = await source.plan(range);
    requireFewChunks(plan.length, limits);
    return {
      footprint: (shared) => footprintOf(plan, shared),
      gaps: [],
      batches: ({ withValues, limits: shared = limits }) =>
        readInOrder({ ...source, plan }, { ...range, withValues }, collapse, shared),
    };
  }
  const plan = await planForExtremes(source, range, limits);
  requireFewChunks(plan.length, limits);
  const gaps = await findGaps(source, plan, range, limits);
  const points = await downSample({ ...source, plan }, range, gaps, max_points, limits);
  return { footprint: (shared) => downSampledFootprintOf(plan, shared, max_points), gaps, ...points };
}

/** Plans what a range holds: from the overview of the channel where that saves much work, else chunk by chunk. */
export async function planForExtremes(
  source: ChannelSource,
  range: MsRange,
  limits: PointLimits,
): Promise<SummaryPlan> {
  const { overviewChunksMin, looseChunksMax } = limits;
  if (chunksExpected(source, range) < overviewChunksMin) {
    const plan = await source.planWithSummaries(range, looseChunksMax);
    if (plan.length <= looseChunksMax) return plan;
  }
  return (await planCoarsely(source.overview, source.chunkCount, range, limits)) ?? source.planWithSummaries(range);
}

/** How many chunks a range would hold if the chunks were spread evenly over the time span of their channel. */
function chunksExpected({ chunkCount, span }: ChannelSource, { fromMs, toMs }: MsRange): number {
  const insideMs = Math.min(toMs, span.toMs) - Math.max(fromMs, span.fromMs) + 1;
  return (chunkCount * Math.max(0, insideMs)) / (span.toMs - span.fromMs + 1);
}
