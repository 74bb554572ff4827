import type { SummaryPlan } from './chunk-plan.ts';
import type { ExtremesOfParts } from './extremes-of-parts.ts';
import { type BlockChildren, fittingPointsOf, placeOfExtreme } from './overview.ts';
import type { Parts } from './parts.ts';
import { merged, type OverviewSource } from './plan-coarsely.ts';
import { msOf } from './time.ts';

/*
 * Blocks in which parts begin. They are gone down to the chunks where parts begin, and what lies between is known by the summaries on
 * the way: so a thousand parts look at a thousand blocks of each level at most, and a plan stays as short as its range allows.
 */

/** A plan that is divided into parts. */
export interface Divided extends Parts {
  plan: SummaryPlan;
}

/** A block in which parts begin. */
export interface CrossedBlock {
  children: BlockChildren;
  /** The children in which parts begin, in order. */
  begins: number[];
  /** What these are, in the same order; of a block of level 1 nothing, since a part begins with its chunk there. */
  below: CrossedBlock[];
}

/** One that is to be looked up. */
interface Wanted {
  /** Of the block of the plan that it belongs to. */
  position: number;
  level: number;
  block: number;
  /** Points before it. */
  before: number;
  /** Whether all of its points count. */
  isFull: boolean;
  /** Where it goes when it is found. */
  into: CrossedBlock[];
  place: number;
}

/**
 * The blocks at some positions of a plan, in each of which parts begin.
 * @returns also those that have to be opened in the plan: at some level their children are not in order of time, or chunks are longer than
 * a part, or they are not stored any more
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

/** @param wanted gets its children in which parts begin @returns whether it can be gone down */
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
  // Where all do, nobody has to look at the times.
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

/** Adds the chunks of a block run by run: those of one part, of which only extremes matter. */
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
