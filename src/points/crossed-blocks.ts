import type { SummaryPlan } from './chunk-plan.ts';
import type { ExtremesOfParts } from './extremes-of-parts.ts';
import { type BlockChildren, fittingPointsOf, placeOfExtreme } from './overview.ts';
import type { Parts } from './parts.ts';
import { merged, type OverviewSource } from './plan-coarsely.ts';
import { msOf } from './time.ts';

/*
 * Finds the places inside blocks where parts begin. From a block the search goes down, level by level, to the chunk in
 * which each part begins. What lies between two beginnings is known by the summaries on the way. So a thousand parts read
 * at most a thousand blocks of each level, and the plan does not grow.
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

/** One that is to be looked up. */
interface Wanted {
  /** Of the block of the plan that it belongs to. */
  position: number;
  level: number;
  block: number;
  /** Points before it. */
  before: number;
  /** Whether all of its points count when parts are divided. */
  isFull: boolean;
  keep(crossed: CrossedBlock): void;
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
  const blocks = new Map<number, CrossedBlock>();
  const mixed = new Set<number>();
  let level = 0;
  const wanted = positions.map((position): Wanted => {
    const own = plan.levels[position] as number;
    level = Math.max(level, own);
    return {
      ...{ position, level: own, block: (plan.chunkIndexes[position] as number) / overview.fanOut ** own },
      before: before[position] as number,
      isFull: plan.fittingPoints[position] === plan.pointCounts[position],
      keep: (crossed) => void blocks.set(position, crossed),
    };
  });
  for (; level > 0; level--) {
    const here = new Map(wanted.filter((one) => one.level === level).map((one) => [one.block, one]));
    if (here.size === 0) continue;
    const listed = await overview.listChildren(level, merged([...here.keys()].map((from) => ({ from, to: from }))));
    await overview.rest();
    for (const { block, children } of listed) {
      const one = here.get(block) as Wanted;
      if (cross(overview, divided, one, children, wanted)) here.delete(block);
    }
    for (const { position } of here.values()) mixed.add(position);
  }
  return { blocks, mixed: [...mixed].sort((a, b) => a - b) };
}

/** @param wanted is given the children in which parts begin @returns false where the block must be opened instead */
function cross(
  { fanOut }: OverviewSource,
  { beginsIn }: Divided,
  one: Wanted,
  children: BlockChildren,
  wanted: Wanted[],
): boolean {
  const { level, position } = one;
  const all = beginsIn(one.before, fittingPointsIn(children, one));
  const begins = all.filter(({ at }, i) => at !== all[i - 1]?.at);
  if (level === 1 ? begins.length < all.length || !children.ascends('timeMin') : !followEachOther(children))
    return false;
  const below: CrossedBlock[] = [];
  one.keep({ children, begins: begins.map(({ at }) => at), below });
  if (level === 1) return true;
  for (const [i, { at, before }] of begins.entries()) {
    wanted.push({
      ...{ position, level: level - 1, block: one.block * fanOut + at, before },
      isFull: children.number('fittingPoints', at) === children.number('pointCount', at),
      keep(crossed) {
        below[i] = crossed;
      },
    });
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
