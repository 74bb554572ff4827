import { ascendingOrder } from '../lib/ascending-order.ts';
import type { Reading } from '../lib/reading.ts';
import { createSummaryPlan, type SummaryPlan } from './chunk-plan.ts';
import type { PointLimits } from './limits.ts';
import { type BlockChildren, blockSummaryOf, type Summaries } from './overview.ts';
import type { Statistics } from './range-statistics.ts';
import { type MsRange, msOf, wholeRange } from './time.ts';

/*
 * Plans a down-sampled read from the overview of its channel. A block is replaced by its children where its summary is not enough: at
 * the ends of the range, where chunks of other blocks lie between its own in time, beside missing chunks, and later where a part of
 * the answer begins. Chunks that no block covers yet, at least the newest, are looked up by their index.
 */

/** Numbers from one to another, both included: indexes of chunks or of blocks. */
export interface IndexRange {
  from: number;
  to: number;
}

/** A stored block, decoded: its number, and the summaries of its children. */
export interface StoredBlock {
  block: number;
  children: Summaries;
}

/** The overview of one channel. */
export interface OverviewSource {
  /** How many children a block has. */
  fanOut: number;
  /** The stored blocks of a level whose numbers lie in the ranges, in order. */
  listBlocks(level: number, blocks: readonly IndexRange[]): Promise<StoredBlock[]>;
  /** The same, but the children are decoded only when they are asked for. */
  listChildren(level: number, blocks: readonly IndexRange[]): Promise<{ block: number; children: BlockChildren }[]>;
  /** The statistics of the readings of these blocks, in order. */
  listStatistics(level: number, blocks: readonly IndexRange[]): Promise<{ block: number; statistics: Statistics }[]>;
  /**
   * Adds to the plan the chunks whose indexes lie in `chunks` and that touch `range`.
   * @returns how many chunks were looked at; `chunksMax + 1` where they are more than `chunksMax`
   */
  addChunks(plan: SummaryCollector, chunks: readonly IndexRange[], range: MsRange, chunksMax: number): Promise<number>;
  /** Reports that blocks which are not stored would have helped a read. */
  onLacking(): void;
  rest: Reading['rest'];
}

export type SummaryCollector = ReturnType<typeof createSummaryPlan>;

/**
 * Plans the read of a range, in blocks where possible and in chunks elsewhere.
 * @param chunkCount how many chunks the channel has
 * @returns undefined where too many chunks are in no block: then they are better looked up by their times
 */
export async function planCoarsely(
  source: OverviewSource,
  chunkCount: number,
  range: MsRange,
  limits: PointLimits,
): Promise<SummaryPlan | undefined> {
  const { fanOut } = source;
  const top = topLevel(chunkCount, fanOut);
  if (top === 0) return undefined;
  const plan = createSummaryPlan();
  const asked: IndexRange[][] = Array.from({ length: top + 1 }, () => []);
  asked[top]?.push({ from: 0, to: Number.MAX_SAFE_INTEGER });
  const { chunks, blockCount } = await goDown(source, plan, range, asked, true);
  const loose =
    blockCount === 0 ? Number.POSITIVE_INFINITY : await source.addChunks(plan, chunks, range, limits.looseChunksMax);
  // The newest chunks are in no block yet. They are not many more than one block holds.
  if (loose > Math.min(2 * fanOut, limits.looseChunksMax)) source.onLacking();
  if (loose > limits.looseChunksMax) return undefined;
  let sorted = await separated(source, await plan.byTime(source.rest));
  for (;;) {
    const edges = await blocksAtEnds(source, sorted);
    if (edges.length === 0) return sorted;
    sorted = await openBlocks(source, sorted, edges);
  }
}

/** Replaces blocks of a plan by their children. @param positions positions of these blocks in the plan, ascending */
export async function openBlocks(
  source: OverviewSource,
  plan: SummaryPlan,
  positions: readonly number[],
): Promise<SummaryPlan> {
  return separated(source, await withChildren(source, plan, positions));
}

/** Replaces blocks by their children until no other entry lies, in time, between the chunks of a block. */
async function separated(source: OverviewSource, plan: SummaryPlan): Promise<SummaryPlan> {
  for (let sorted = plan; ; ) {
    const mixed = mixedBlocks(sorted);
    if (mixed.length === 0) return sorted;
    sorted = await withChildren(source, sorted, mixed);
  }
}

async function withChildren(
  source: OverviewSource,
  plan: SummaryPlan,
  positions: readonly number[],
): Promise<SummaryPlan> {
  const opened = createSummaryPlan();
  const asked: IndexRange[][] = [];
  let next = 0;
  for (let i = 0; i < plan.length; i++) {
    if (positions[next] !== i) {
      opened.addEntry(plan, i);
      continue;
    }
    next++;
    const level = plan.levels[i] as number;
    while (asked.length <= level) asked.push([]);
    const block = (plan.chunkIndexes[i] as number) / source.fanOut ** level;
    asked[level]?.push({ from: block, to: block });
  }
  const { chunks } = await goDown(source, opened, wholeRange, asked, false);
  // These blocks have been removed since the plan was made, because one of their chunks was replaced.
  if (chunks.length > 0) await source.addChunks(opened, chunks, wholeRange, Number.MAX_SAFE_INTEGER);
  return opened.byTime(source.rest);
}

/** The highest level at which a channel of so many chunks can have a block. */
function topLevel(chunkCount: number, fanOut: number): number {
  let level = 0;
  for (let chunks = fanOut; chunks <= chunkCount; chunks *= fanOut) level++;
  return level;
}

/**
 * Adds the children of the blocks in `asked`, which is a list of ranges for each level. A child that lies across an end of
 * the range is opened in turn. A block that is not stored is replaced by the blocks below it.
 * @param keepsWhole a block that lies wholly in the range is added itself, and not its children
 * @returns the chunks that no block covers, and how many blocks were found
 */
async function goDown(
  source: OverviewSource,
  plan: SummaryCollector,
  range: MsRange,
  asked: readonly IndexRange[][],
  keepsWhole: boolean,
): Promise<{ chunks: IndexRange[]; blockCount: number }> {
  const { fanOut } = source;
  let wanted: IndexRange[] = [];
  let blockCount = 0;
  for (let level = asked.length - 1; level > 0; level--) {
    wanted = merged([...wanted, ...(asked[level] ?? [])]);
    if (wanted.length === 0) continue;
    await source.rest();
    const blocks = await source.listBlocks(level, wanted);
    blockCount += blocks.length;
    const below = childrenOf(without(wanted, blocks), fanOut);
    const isInside = (firstMs: number, lastMs: number) => firstMs >= range.fromMs && lastMs <= range.toMs;
    for (const [i, { block, children }] of blocks.entries()) {
      if (i % blocksInTurn === 0) await source.rest();
      const whole = keepsWhole ? blockSummaryOf(children) : undefined;
      if (whole !== undefined && isInside(msOf(whole.timeMin), msOf(whole.timeMax))) {
        plan.addBlock(level, block * fanOut ** level, whole);
        continue;
      }
      for (let child = 0; child < fanOut; child++) {
        const at = block * fanOut + child;
        const firstMs = msOf(children.timeMin[child] as number);
        const lastMs = msOf(children.timeMax[child] as number);
        if (!(lastMs >= range.fromMs && firstMs <= range.toMs)) continue;
        if (level === 1 || isInside(firstMs, lastMs)) {
          plan.addChild(level - 1, at * fanOut ** (level - 1), children, child);
        } else below.push({ from: at, to: at });
      }
    }
    wanted = below;
  }
  return { chunks: merged([...wanted, ...(asked[0] ?? [])]), blockCount };
}

/** Blocks between two rests: about a millisecond of work. */
const blocksInTurn = 100;

const byFrom = (one: IndexRange, other: IndexRange) => one.from - other.from;

/** The same numbers in as few ranges as possible, in order. */
export function merged(ranges: readonly IndexRange[]): IndexRange[] {
  const result: IndexRange[] = [];
  for (const range of ranges.toSorted(byFrom)) {
    const last = result.at(-1);
    if (last !== undefined && range.from <= last.to + 1) last.to = Math.max(last.to, range.to);
    else result.push({ ...range });
  }
  return result;
}

/** The numbers of the ranges that are not among the blocks; both are in order. */
function without(ranges: readonly IndexRange[], blocks: readonly StoredBlock[]): IndexRange[] {
  const left: IndexRange[] = [];
  let next = 0;
  for (const { from, to } of ranges) {
    let begin = from;
    for (; next < blocks.length && (blocks[next]?.block as number) <= to; next++) {
      const block = blocks[next]?.block as number;
      if (block > begin) left.push({ from: begin, to: block - 1 });
      begin = block + 1;
    }
    if (begin <= to) left.push({ from: begin, to });
  }
  return left;
}

const childrenOf = (ranges: readonly IndexRange[], fanOut: number): IndexRange[] =>
  ranges.map(({ from, to }) => ({
    from: from * fanOut,
    to: Math.min(to * fanOut + fanOut - 1, Number.MAX_SAFE_INTEGER),
  }));

/** The positions of blocks that overlap other entries in time: another entry lies between the chunks of the block. */
function mixedBlocks({ length, firstMs, firstMsMax, chunkIndexes, levels }: SummaryPlan): number[] {
  const positions = new Set<number>();
  /** The position of the entry with the chunk that begins latest so far. */
  let reaching = 0;
  for (let i = 1; i < length; i++) {
    const reachMs = firstMsMax[reaching] as number;
    const isMixed =
      reachMs > (firstMs[i] as number) ||
      (reachMs === firstMs[i] && (chunkIndexes[reaching] as number) > (chunkIndexes[i] as number));
    if (isMixed) for (const one of [reaching, i]) if ((levels[one] as number) > 0) positions.add(one);
    if ((firstMsMax[i] as number) >= reachMs) reaching = i;
  }
  return [...positions].sort((a, b) => a - b);
}

/** The positions of blocks at an end of a run of indexes. They are opened because findGaps needs the chunk beside a gap. */
async function blocksAtEnds({ fanOut, rest }: OverviewSource, plan: SummaryPlan): Promise<number[]> {
  const { length, chunkIndexes, levels } = plan;
  const isAfter = (a: number, b: number) => (chunkIndexes[a] as number) > (chunkIndexes[b] as number);
  const order = await ascendingOrder(length, isAfter, rest);
  const positions: number[] = [];
  /** The index at which the current run goes on. No gap lies before the first chunk of a channel, at 0. */
  let expected = 0;
  for (let i = 0; i < length; i++) {
    const position = order[i] as number;
    const begin = chunkIndexes[position] as number;
    const end = begin + fanOut ** (levels[position] as number);
    const isInRun = begin === expected && chunkIndexes[order[i + 1] as number] === end;
    if ((levels[position] as number) > 0 && !isInRun) positions.push(position);
    expected = end;
  }
  return positions.sort((a, b) => a - b);
}
