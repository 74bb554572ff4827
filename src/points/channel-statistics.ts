import { planForExtremes } from './channel-points.ts';
import type { ChannelSource } from './channel-source.ts';
import type { SummaryPlan } from './chunk-plan.ts';
import { pageBytesBeyondUsual, requireFewChunks } from './footprint.ts';
import type { PointLimits } from './limits.ts';
import { fetchPage, nextPage, pointsOf } from './pages.ts';
import { isInside } from './parts.ts';
import { type IndexRange, merged, openBlocks } from './plan-coarsely.ts';
import type { Points } from './points.ts';
import { createTotal, type Statistics, statisticsInRange } from './range-statistics.ts';
import { type MsRange, msOf } from './time.ts';

/**
 * Statistics, and the smallest and the largest reading. Of equal extremes any one is given. Undefined where there is no
 * reading.
 */
export interface ChannelStatistics extends Statistics, Extremes {}

interface Extremes {
  least?: Extreme;
  greatest?: Extreme;
}

export interface Extreme {
  value: number;
  ms: number;
}

/**
 * The statistics of all stored points of a channel that lie in a range; points that share a ms are all counted. Blocks of the
 * overview have their statistics stored. Arrays are read only of chunks that no block in the range covers.
 * @throws ApiError 422 for more chunks than a read may go through
 */
export async function readStatistics(
  source: ChannelSource,
  range: MsRange,
  limits: PointLimits,
): Promise<ChannelStatistics> {
  const planned = await planForExtremes(source, range, limits);
  requireFewChunks(planned.length, limits);
  const { plan, total } = await withStatistics(source, planned);
  const extremes: Extremes = {};
  for (let i = 0; i < plan.length; i++) {
    if (!isInside(plan, i, range)) continue;
    addExtreme(extremes, plan.minValues[i] as number, plan.minMs[i] as number);
    addExtreme(extremes, plan.maxValues[i] as number, plan.maxMs[i] as number);
  }
  const isChunk = (position: number) => plan.levels[position] === 0;
  for (let from = 0; from < plan.length; ) {
    const page = nextPage(plan, from, limits, isChunk);
    const give = await source.enlarge(pageBytesBeyondUsual(pointsOf(plan, page), limits));
    for (const [i, chunk] of (
      await fetchPage<Points & { chunkIndex: number }>(source.fetch, plan, page, true)
    ).entries()) {
      await source.rest();
      total.add(statisticsInRange(chunk.times, chunk.values, range));
      if (!isInside(plan, page.positions[i] as number, range)) addExtremesOf(extremes, chunk, range);
    }
    give();
    from = page.next;
  }
  return { ...total.sum(), ...extremes };
}

/**
 * Sums the statistics of the blocks of a plan. A block may be gone since it was planned: then it is replaced in the plan by
 * its children.
 */
async function withStatistics(source: ChannelSource, planned: SummaryPlan) {
  const { overview } = source;
  for (let plan = planned; ; ) {
    const byLevel = new Map<number, Map<number, number>>();
    for (let i = 0; i < plan.length; i++) {
      const level = plan.levels[i] as number;
      if (level === 0) continue;
      const positions = byLevel.get(level) ?? new Map<number, number>();
      byLevel.set(level, positions.set((plan.chunkIndexes[i] as number) / overview.fanOut ** level, i));
    }
    const total = createTotal();
    const gone: number[] = [];
    for (const [level, positions] of byLevel) {
      const wanted: IndexRange[] = merged([...positions.keys()].map((block) => ({ from: block, to: block })));
      for (const { block, statistics } of await overview.listStatistics(level, wanted)) {
        total.add(statistics);
        positions.delete(block);
      }
      gone.push(...positions.values());
    }
    if (gone.length === 0) return { plan, total };
    plan = await openBlocks(
      overview,
      plan,
      gone.sort((a, b) => a - b),
    );
  }
}

function addExtremesOf(extremes: Extremes, { times, values }: Points, { fromMs, toMs }: MsRange): void {
  for (let i = 0; i < values.length; i++) {
    const ms = msOf(times[i] as number);
    if (ms >= fromMs && ms <= toMs) addExtreme(extremes, values[i] as number, ms);
  }
}

/** @param value NaN where there is none */
function addExtreme(extremes: Extremes, value: number, ms: number): void {
  if (Number.isNaN(value)) return;
  const { least, greatest } = extremes;
  if (least === undefined || value < least.value) extremes.least = { value, ms };
  if (greatest === undefined || value > greatest.value) extremes.greatest = { value, ms };
}
