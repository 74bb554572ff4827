import { ascendingOrder } from '../lib/ascending-order.ts';
import { type HabitLimits, isMissing } from '../lib/habits.ts';
import type { ChannelSource } from './channel-source.ts';
import type { SummaryPlan } from './chunk-plan.ts';
import type { Gap } from './points.ts';
import { type MsRange, msOf } from './time.ts';

/**
 * Finds the gaps beside the chunks of a plan, as far as they reach into its range, in order of chunk index. Where the range
 * holds no chunk, it finds the gap in which the range lies. Indexes that the channel regularly leaves out are no gap. The
 * cost is a few look-ups for each hole, however much is stored outside of the range.
 */
export async function findGaps(
  source: GapSource,
  plan: SummaryPlan,
  range: MsRange,
  limits: HabitLimits,
): Promise<Gap[]> {
  const holes = await findGapCandidates(source, plan, range);
  if (holes.length === 0) return holes;
  const beside = await source.listStepsBeside(holes, limits.besideStepsMax);
  return holes.filter(({ fromChunk, toChunk }, i) => isMissing(toChunk - fromChunk + 2, beside[i] as number[], limits));
}

type GapSource = Pick<ChannelSource, 'listNeighbours' | 'listNewest' | 'listStepsBeside' | 'overview' | 'rest'>;

/** The runs of indexes without a stored chunk: between two chunks, or before the first. */
async function findGapCandidates(source: GapSource, plan: SummaryPlan, range: MsRange): Promise<Gap[]> {
  const { ends, starts } = await runsOf(plan, source);
  if (plan.length === 0) {
    for (const one of await source.listNewest(range.fromMs / 1_000, 1)) ends.set(one.chunk_index, spanOf(one) as Span);
  }
  const gaps = new Map<number, Gap>();
  const add = (fromChunk: number, toChunk: number, before: Span | null, after: Span | null) => {
    const gap = toGap(fromChunk, toChunk, before, after);
    if (gap.between.lowMs < range.toMs && gap.between.highMs > range.fromMs) gaps.set(toChunk, gap);
  };
  const addHoles = async (above: number[], below: number[]) => {
    if (above.length + below.length === 0) return;
    const found = await source.listNeighbours({ above, below });
    for (const one of found.above) {
      const { chunk_index: end, neighbour_index: next } = one;
      if (next !== null) add(end + 1, next - 1, ends.get(end) as Span, spanOf(one));
    }
    for (const one of found.below) {
      const { chunk_index: start, neighbour_index: previous } = one;
      // A hole that was found from above is the same gap.
      if (!gaps.has(start - 1)) add((previous ?? -1) + 1, start - 1, spanOf(one), starts.get(start) as Span);
    }
  };
  // Nearly always there is one run of chunks. Both its sides are then asked for in one round trip.
  const [first = 0] = starts.keys();
  await addHoles([...ends.keys()], first > 0 ? [first] : []);
  const isOpen = (start: number) => start > 0 && start !== first && !gaps.has(start - 1);
  await addHoles([], [...starts.keys()].filter(isOpen));
  return [...gaps.values()].sort((a, b) => a.fromChunk - b.fromChunk);
}

interface Span {
  firstMs: number;
  lastMs: number;
}

/** The last and the first chunk of each run of successive indexes. An entry that is a block is never at an end of a run. */
async function runsOf(
  { length, chunkIndexes, firstMs, lastMs, levels }: SummaryPlan,
  { rest, overview: { fanOut } }: GapSource,
) {
  const isAfter = (a: number, b: number) => (chunkIndexes[a] as number) > (chunkIndexes[b] as number);
  const order = await ascendingOrder(length, isAfter, rest);
  const ends = new Map<number, Span>();
  const starts = new Map<number, Span>();
  let expected = Number.NaN;
  for (let i = 0; i < length; i++) {
    const position = order[i] as number;
    const chunkIndex = chunkIndexes[position] as number;
    const span = () => ({ firstMs: firstMs[position] as number, lastMs: lastMs[position] as number });
    const next = chunkIndex + fanOut ** (levels[position] as number);
    if (chunkIndex !== expected) starts.set(chunkIndex, span());
    if (chunkIndexes[order[i + 1] as number] !== next) ends.set(next - 1, span());
    expected = next;
  }
  return { ends, starts };
}

const spanOf = ({ time_min, time_max }: { time_min: number | null; time_max: number | null }): Span | null =>
  time_min === null || time_max === null ? null : { firstMs: msOf(time_min), lastMs: msOf(time_max) };

/**
 * The missing points belong between the chunks on both sides, also where time runs against the index. Where the chunks on
 * both sides overlap in time, the missing points belong somewhere in the overlap.
 */
function toGap(fromChunk: number, toChunk: number, before: Span | null, after: Span | null): Gap {
  const isReversed = before !== null && after !== null && after.lastMs < before.firstMs;
  const [earlier, later] = isReversed ? [after, before] : [before, after];
  const endMs = earlier?.lastMs ?? null;
  const beginMs = later?.firstMs ?? null;
  const between = { lowMs: endMs ?? Number.NEGATIVE_INFINITY, highMs: beginMs ?? Number.POSITIVE_INFINITY };
  if (between.lowMs >= between.highMs) {
    const { lowMs, highMs } = between;
    Object.assign(between, { lowMs: highMs - 1, highMs: lowMs + 1 });
  }
  return { fromChunk, toChunk, endMs, beginMs, between };
}
