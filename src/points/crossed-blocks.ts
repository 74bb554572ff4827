import type { SummaryPlan } from './chunk-plan.ts';
import type { ExtremesOfParts } from './extremes-of-parts.ts';
import { type BlockChildren, fittingPointsOf, placeOfExtreme } from './overview.ts';
import type { Parts } from './parts.ts';
import { merged, type OverviewSource } from './plan-coarsely.ts';
import { msOf } from './time.ts';

/*
 * Finds where parts begin inside blocks. From a block the search goes down, level by level, to the chunk in which each part begins. The
 * summaries of the blocks on the way tell the extremes of everything between two beginnings. So a thousand parts read at most a
 * thousand blocks of each level, and the plan does not grow.
 */

/** A plan that is divided into parts. */
export interface Divided extends Parts {
  plan: SummaryPlan;
}

/** A block in which parts begin. */
export interface CrossedBlock {
  children: BlockChildren;
  /** The children in which parts begin, in ascending order. */
  begins: number[];
  /**
   * The blocks at `begins`, in the same order. Empty for a block of level 1: its children are chunks, and each part there
   * begins with its chunk.
   */
  below: CrossedBlock[];
}

/** A block that is to be looked up. */
interface Wanted {
  /** Position in the plan of the block that it is, or that it lies in. */
  position: number;
  level: number;
  block: number;
  /** How many points come before it. */
  before: number;
  /** Whether all of its points count when points are divided into parts. */
  isFull: boolean;
  /** The list that it goes into when it is found, and its place there. */
  into: CrossedBlock[];
  place: number;
}

/**
 * Looks up the blocks at some positions of a plan, in each of which parts begin.
 * @returns `mixed`: positions of blocks that must be opened in the plan instead, because at some level their children are
 * not in order of time, or a chunk is longer than a part, or a block is not stored any more
 */
export async function findCrossed(
  overview: OverviewSource,
  divided: Divided,
  positions: readonly number[],
): Promise<{ blocks: Map<number, CrossedBlock>; mixed: number[] }> {
  const { plan, before } = divided;
  const found: CrossedBlock[] = [];
  const mixed = new Set<number>();
  const wanted: Map<number, Wanted>[] = [];
  for (const [place, position] of positions.entries()) {
    const level = plan.levels[position] as number;
    const block = (plan.chunkIndexes[position] as number) / overview.fanOut ** level;
    const isFull = plan.fittingPoints[position] === plan.pointCounts[position];
    add(wanted, { position, level, block, before: before[position] as number, isFull, into: found, place });
  }
  for (let level = wanted.length - 1; level > 0; level--) {
    const here = wanted[level];
    if (here === undefined) continue;
    const listed = await overview.listChildren(level, merged([...here.keys()].map((from) => ({ from, to: from }))));
    await overview.rest();
    for (const { block, children } of listed) {
      const one = here.get(block) as Wanted;
      if (cross(overview, divided, one, children, wanted)) here.delete(block);
    }
    for (const { position } of here.values()) mixed.add(position);
  }
  const blocks = new Map<number, CrossedBlock>();
  for (const [place, crossed] of found.entries())
    if (crossed !== undefined) blocks.set(positions[place] as number, crossed);
  return { blocks, mixed: [...mixed].sort((a, b) => a - b) };
}

/** @param wanted by level, then by block */
function add(wanted: Map<number, Wanted>[], one: Wanted): void {
  const { level, block } = one;
  const here = wanted[level] ?? new Map<number, Wanted>();
  wanted[level] = here.set(block, one);
}

/**
 * Puts a block into its list and adds the children in which parts begin to `wanted`.
 * @returns false where the block must be opened in the plan instead
 */
function cross(
  { fanOut }: OverviewSource,
  { beginsIn }: Divided,
  one: Wanted,
  children: BlockChildren,
  wanted: Map<number, Wanted>[],
): boolean {
  const { level, position, into, place } = one;
  const points = fittingPointsIn(children, one);
  const { begins, before, areSingle } = beginsIn(one.before, points);
  if (level === 1 ? !areSingle || !children.ascends('timeMin') : !followEachOther(children)) return false;
  const below: CrossedBlock[] = [];
  into[place] = { children, begins, below };
  if (level === 1) return true;
  for (let i = 0; i < begins.length; i++) {
    const child = begins[i] as number;
    const isFull = points[child] === children.number('pointCount', child);
    const block = one.block * fanOut + child;
    add(wanted, { position, level: level - 1, block, before: before[i] as number, isFull, into: below, place: i });
  }
  return true;
}

/** How many points of each child count. */
function fittingPointsIn(children: BlockChildren, { level, isFull }: Wanted): Float64Array {
  if (level > 1) return children.column('fittingPoints');
  const points = children.column('pointCount');
  // Where all points count, the times are not decoded.
  if (isFull) return points;
  const [timeMin, timeMax] = [children.column('timeMin'), children.column('timeMax')];
  return points.map((one, i) => fittingPointsOf(one, msOf(timeMax[i] as number) - msOf(timeMin[i] as number)));
}

/** Whether the chunks of each block begin no later than those of the next. */
function followEachOther(children: BlockChildren): boolean {
  const [first, firstMax] = [children.column('timeMin'), children.column('timeMinMax')];
  let reach = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < first.length; i++) {
    if (!((first[i] as number) >= reach)) return false;
    reach = Math.max(reach, firstMax[i] as number);
  }
  return true;
}

/** Adds a block to the parts run by run. A run is the children that belong to one part; only its extremes matter. */
export function addCrossed(parts: ExtremesOfParts, { children, begins, below }: CrossedBlock): void {
  const [least, greatest] = [children.column('valueMin'), children.column('valueMax')];
  const timeOfLeast = (child: number) => children.number('valueMinTime', child);
  const timeOfGreatest = (child: number) => children.number('valueMaxTime', child);
  const { length } = least;
  for (let from = 0, next = 0; from < length; ) {
    if (begins[next] === from) {
      const crossed = below[next++];
      if (crossed !== undefined) {
        addCrossed(parts, crossed);
        from++;
        continue;
      }
      parts.begin();
    }
    const to = begins[next] ?? length;
    const lowest = placeOfExtreme(least, -1, timeOfLeast, from, to);
    const highest = placeOfExtreme(greatest, 1, timeOfGreatest, from, to);
    if (lowest === -1 || highest === -1) parts.add(msOf(children.number('timeMin', from)), Number.NaN);
    else {
      parts.add(msOf(timeOfLeast(lowest)), least[lowest] as number);
      parts.add(msOf(timeOfGreatest(highest)), greatest[highest] as number);
    }
    from = to;
  }
}
