import type { ChannelSource } from './channel-source.ts';
import type { SummaryPlan } from './chunk-plan.ts';
import type { PointLimits } from './limits.ts';
import type { PlannedChannel } from './merge.ts';
import { type ChunkChildren, placeOfExtreme } from './overview.ts';
import { fetchPage, nextPage, type Page } from './pages.ts';
import { isInside, type Parts, partsOfChunks } from './parts.ts';
import { merged, type OverviewSource, openBlocks } from './plan-coarsely.ts';
import type { Points } from './points.ts';
import { type MsRange, msOf } from './time.ts';

/**
 * Reads the smallest and the largest value of each of so many parts of a channel, in one pass and in memory that grows with
 * the parts only. A part is a run of points of one chunk, or of whole chunks that follow each other. A whole chunk is known by
 * its summary; arrays are read of chunks in which more than one part begins, or that reach out of the range.
 *
 * All stored points count, also those that share a ms, of which a plain read shows the last.
 * @param range of finite bounds
 * @returns at most two points a part, their times in ms. Where chunks overlap in time, or their times step back, they are not in
 * order, and some may have the same ms
 */
export async function readExtremes(
  { plan: given, fetch, rest, overview }: PlannedChannel<SummaryPlan> & Pick<ChannelSource, 'overview'>,
  range: MsRange,
  partCount: number,
  limits: PointLimits,
): Promise<Points> {
  let divided = await dividedIn(overview, given, range, partCount);
  const parts = new ExtremesOfParts(partCount);
  for (let from = 0; from < divided.plan.length; ) {
    await rest();
    const { plan, counts } = divided;
    const isOpened = (position: number) =>
      plan.levels[position] === 0 && ((counts[position] as number) > 1 || !isInside(plan, position, range));
    const page = nextPage(plan, from, limits, isOpened);
    const blocks = await blocksOfPage(overview, divided, from, page, limits.pageBlocksMax);
    if (blocks.mixed.length > 0) {
      // What lies before them stays as it is, and so do the parts that have begun there.
      divided = divide(await openBlocks(overview, plan, blocks.mixed), range, partCount);
      continue;
    }
    const chunks = await fetchPage(fetch, plan, page, true);
    let opened = 0;
    for (let position = from; position < page.next; position++) {
      const count = counts[position] as number;
      const block = blocks.children.get(position);
      if (position === page.positions[opened]) addPoints(parts, chunks[opened++] as Points, range, count);
      else if (block !== undefined) addChildren(parts, block.children, block.counts);
      else addSummary(parts, plan, position, count);
    }
    from = page.next;
  }
  return parts.finish();
}

interface Divided extends Parts {
  plan: SummaryPlan;
}

const divide = (plan: SummaryPlan, range: MsRange, partCount: number): Divided => ({
  plan,
  ...partsOfChunks(plan, range, partCount),
});

/** Divides a plan, and opens its blocks until parts begin in such of level 1 alone. */
async function dividedIn(
  overview: OverviewSource,
  plan: SummaryPlan,
  range: MsRange,
  partCount: number,
): Promise<Divided> {
  for (let divided = divide(plan, range, partCount); ; ) {
    const { levels, length } = divided.plan;
    const crossed: number[] = [];
    for (let i = 0; i < length; i++)
      if ((levels[i] as number) > 1 && (divided.counts[i] as number) > 0) crossed.push(i);
    if (crossed.length === 0) return divided;
    divided = divide(await openBlocks(overview, divided.plan, crossed), range, partCount);
  }
}

/** A block with the number of parts that begin in each of its children. */
interface CrossedBlock {
  children: ChunkChildren;
  counts: Uint32Array;
}

/**
 * The children of the blocks of a page in which a part begins, by position. The page ends earlier where they are many.
 * @returns also those that have to be opened in the plan: their children are not in order of time, or longer than a part, or
 * they are not stored any more
 */
async function blocksOfPage(
  { fanOut, listChunkChildren }: OverviewSource,
  { plan, counts, withinBlock }: Divided,
  from: number,
  page: Page,
  blocksMax: number,
): Promise<{ children: Map<number, CrossedBlock>; mixed: number[] }> {
  const positions = new Map<number, number>();
  for (let i = from; i < page.next; i++) {
    if (plan.levels[i] !== 1 || counts[i] === 0) continue;
    if (positions.size === blocksMax) {
      page.next = i;
      page.positions = page.positions.filter((position) => position < i);
      break;
    }
    positions.set((plan.chunkIndexes[i] as number) / fanOut, i);
  }
  const children = new Map<number, CrossedBlock>();
  if (positions.size === 0) return { children, mixed: [] };
  const wanted = [...positions.keys()].map((block) => ({ from: block, to: block }));
  for (const { block, children: chunks } of await listChunkChildren(merged(wanted))) {
    const position = positions.get(block) as number;
    const begins = withinBlock(position, chunks);
    if (isInOrder(chunks.column('timeMin')) && isShort(begins)) {
      children.set(position, { children: chunks, counts: begins });
      positions.delete(block);
    }
  }
  return { children, mixed: [...positions.values()].sort((a, b) => a - b) };
}

function isInOrder(times: Float64Array): boolean {
  for (let i = 1; i < times.length; i++) if ((times[i] as number) < (times[i - 1] as number)) return false;
  return true;
}

/** Whether no chunk is longer than a part. */
function isShort(begins: Uint32Array): boolean {
  for (let i = 0; i < begins.length; i++) if ((begins[i] as number) > 1) return false;
  return true;
}

/** Adds the chunks of a block, which are in order of time, run by run: those of one part, of which only extremes matter. */
function addChildren(parts: ExtremesOfParts, children: ChunkChildren, counts: Uint32Array): void {
  const [least, greatest] = [children.column('valueMin'), children.column('valueMax')];
  for (let from = 0; from < counts.length; ) {
    if ((counts[from] as number) > 0) parts.begin();
    let to = from + 1;
    while (to < counts.length && counts[to] === 0) to++;
    const lowest = placeOfExtreme(least, -1, (child) => children.number('valueMinTime', child), from, to);
    const highest = placeOfExtreme(greatest, 1, (child) => children.number('valueMaxTime', child), from, to);
    if (lowest === -1 || highest === -1) parts.add(msOf(children.number('timeMin', from)), Number.NaN);
    else {
      parts.add(msOf(children.number('valueMinTime', lowest)), least[lowest] as number);
      parts.add(msOf(children.number('valueMaxTime', highest)), greatest[highest] as number);
    }
    from = to;
  }
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

/**
 * Divides the points of a chunk that lie in a range into so many parts, evenly and in their stored order. Points that share
 * their ms with the one before are in its part, and count as one.
 * @param chunk its times are written over
 */
function addPoints(parts: ExtremesOfParts, chunk: Points, { fromMs, toMs }: MsRange, count: number): void {
  const { times, values } = chunk;
  let length = 0;
  let instants = 0;
  let previousMs = Number.NaN;
  for (let i = 0; i < times.length; i++) {
    const ms = msOf(times[i] as number);
    // An absent time is NaN and fails both comparisons.
    if (!(ms >= fromMs && ms <= toMs)) continue;
    if (ms !== previousMs) instants++;
    times[length] = previousMs = ms;
    values[length++] = values[i] as number;
  }
  let instant = 0;
  let begun = 0;
  previousMs = Number.NaN;
  for (let i = 0; i < length; i++) {
    const ms = times[i] as number;
    if (ms !== previousMs) {
      if (begun < count && instant * count >= begun * instants) {
        parts.begin();
        begun++;
      }
      instant++;
      previousMs = ms;
    }
    parts.add(ms, values[i] as number);
  }
}

/** Collects the extremes of parts, one part after the other. Their times are in ms, whole or with fractions. */
export class ExtremesOfParts {
  readonly #times: Float64Array;
  readonly #values: Float64Array;
  #length = 0;
  /** Of the part that has been begun last. NaN where nothing has been added that counts. */
  #least = Number.NaN;
  #leastMs = Number.NaN;
  #greatest = Number.NaN;
  #greatestMs = Number.NaN;
  #absentMs = Number.NaN;

  constructor(partCount: number) {
    this.#times = new Float64Array(2 * partCount);
    this.#values = new Float64Array(2 * partCount);
  }

  begin(): void {
    if (Number.isNaN(this.#least)) {
      // All readings are absent, or there are no points.
      if (!Number.isNaN(this.#absentMs)) this.#push(this.#absentMs, Number.NaN);
    } else if (this.#leastMs < this.#greatestMs) {
      this.#push(this.#leastMs, this.#least);
      this.#push(this.#greatestMs, this.#greatest);
    } else {
      this.#push(this.#greatestMs, this.#greatest);
      if (this.#leastMs !== this.#greatestMs || this.#least !== this.#greatest) this.#push(this.#leastMs, this.#least);
    }
    this.#least = this.#greatest = this.#absentMs = Number.NaN;
  }

  /**
   * Adds a reading, NaN for an absent one. Of equal values the earliest is the smallest and the latest the largest, so that a
   * level line is shown in its whole length.
   */
  add(ms: number, value: number): void {
    // Nearly all of a long part.
    if (value > this.#least && value < this.#greatest) return;
    if (Number.isNaN(value)) {
      if (!(this.#absentMs <= ms)) this.#absentMs = ms;
      return;
    }
    // NaN fails every comparison.
    if (!(this.#least <= value) || (this.#least === value && ms < this.#leastMs)) {
      this.#least = value;
      this.#leastMs = ms;
    }
    if (!(this.#greatest >= value) || (this.#greatest === value && ms > this.#greatestMs)) {
      this.#greatest = value;
      this.#greatestMs = ms;
    }
  }

  finish(): Points {
    this.begin();
    return { times: this.#times.subarray(0, this.#length), values: this.#values.subarray(0, this.#length) };
  }

  #push(ms: number, value: number): void {
    this.#times[this.#length] = ms;
    this.#values[this.#length++] = value;
  }
}
