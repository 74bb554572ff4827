import type { ChannelSource, SeriesOfChunk } from './channel-source.ts';
import { addChunk } from './chunk-extremes.ts';
import type { SummaryPlan } from './chunk-plan.ts';
import { addCrossed, type Divided, findCrossed } from './crossed-blocks.ts';
import { ExtremesOfParts } from './extremes-of-parts.ts';
import { bytesBeyond } from './footprint.ts';
import type { PointLimits } from './limits.ts';
import { fetchPage, nextPage, type Page, pointsOf } from './pages.ts';
import { isInside, partsOfChunks } from './parts.ts';
import { type OverviewSource, openBlocks } from './plan-coarsely.ts';
import type { Points } from './points.ts';
import type { MsRange } from './time.ts';

/**
 * Reads the smallest and the largest value of each of `partCount` parts of a channel, in one pass and in memory that grows
 * with the parts only. A part is a run of points of one chunk, or a run of whole chunks. For a whole chunk its summary is
 * enough. Arrays are read only of chunks in which more than one part begins, and of chunks that reach out of the range.
 *
 * All stored points count, also those that share a ms. A plain read would show only the last of these.
 * @param range with finite bounds
 * @returns at most two points a part, their times in ms. Where chunks overlap in time, or times step back, the points are
 * not in order, and some may have the same ms
 */
export async function readExtremes(
  { plan: given, fetchSeries, rest, overview, enlarge }: DividedChannel,
  range: MsRange,
  partCount: number,
  limits: PointLimits,
): Promise<Points> {
  let divided = await dividedIn(overview, given, range, partCount, limits.pageBlocksMax);
  const parts = new ExtremesOfParts(partCount);
  for (let from = 0; from < divided.plan.length; ) {
    await rest();
    const { plan, counts } = divided;
    const isOpened = (position: number) =>
      plan.levels[position] === 0 && ((counts[position] as number) > 1 || !isInside(plan, position, range));
    const page = nextPage(plan, from, { ...limits, pagePointsMax: limits.seriesPagePointsMax }, isOpened);
    const { blocks, mixed } = await findCrossed(
      overview,
      divided,
      crossedPositions(divided, from, page, limits.pageBlocksMax),
    );
    if (mixed.length > 0) {
      // Entries before the mixed blocks stay as they are, and so do the parts that begin there.
      divided = divide(await openBlocks(overview, plan, mixed), range, partCount);
      continue;
    }
    const give = await enlarge(bytesBeyond(given, limits, pointsOf(plan, page)));
    const chunks = await fetchPage(fetchSeries, plan, page, true);
    let opened = 0;
    for (let position = from; position < page.next; position++) {
      const count = counts[position] as number;
      const block = blocks.get(position);
      if (position === page.positions[opened]) {
        const chunk = chunks[opened++] as SeriesOfChunk;
        if (chunk.times.pointCount > longChunkPoints) await rest();
        addChunk(parts, chunk, range, count);
      } else if (block !== undefined) addCrossed(parts, block);
      else addSummary(parts, plan, position, count);
    }
    give();
    from = page.next;
  }
  return parts.finish();
}

/** A chunk longer than this takes more than a millisecond of work. */
const longChunkPoints = 100_000;

/** A planned channel whose plan may contain blocks. */
type DividedChannel = Pick<ChannelSource, 'fetchSeries' | 'overview' | 'rest' | 'enlarge'> & { plan: SummaryPlan };

const divide = (plan: SummaryPlan, range: MsRange, partCount: number): Divided => ({
  plan,
  ...partsOfChunks(plan, range, partCount),
});

/** Divides a plan into parts. Opens blocks of level 2 and above in which more parts begin than one page may have. */
async function dividedIn(
  overview: OverviewSource,
  plan: SummaryPlan,
  range: MsRange,
  partCount: number,
  beginsMax: number,
): Promise<Divided> {
  for (let divided = divide(plan, range, partCount); ; ) {
    const { levels, length } = divided.plan;
    const crossed: number[] = [];
    for (let i = 0; i < length; i++)
      if ((levels[i] as number) > 1 && (divided.counts[i] as number) > beginsMax) crossed.push(i);
    if (crossed.length === 0) return divided;
    divided = divide(await openBlocks(overview, divided.plan, crossed), range, partCount);
  }
}

/** The blocks of a page in which parts begin. Ends the page earlier where too many parts begin in it. */
function crossedPositions({ plan, counts }: Divided, from: number, page: Page, beginsMax: number): number[] {
  const positions: number[] = [];
  let begins = 0;
  for (let i = from; i < page.next; i++) {
    if (plan.levels[i] === 0 || counts[i] === 0) continue;
    begins += counts[i] as number;
    if (begins > beginsMax && positions.length > 0) {
      page.next = i;
      page.positions = page.positions.filter((position) => position < i);
      break;
    }
    positions.push(i);
  }
  return positions;
}

function addSummary(parts: ExtremesOfParts, plan: SummaryPlan, position: number, count: number): void {
  if (count > 0) parts.begin();
  const value = plan.minValues[position] as number;
  if (Number.isNaN(value)) {
    parts.add(plan.firstMs[position] as number, Number.NaN);
    return;
  }
  parts.add(plan.minMs[position] as number, value);
  parts.add(plan.maxMs[position] as number, plan.maxValues[position] as number);
}
