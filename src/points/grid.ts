import { GrowingFloats } from '../lib/growing-floats.ts';
import type { Grid } from './buckets.ts';
import type { SummaryPlan } from './chunk-plan.ts';
import type { PointLimits } from './limits.ts';
import { type PlannedChannel, readInOrder } from './merge.ts';
import { fetchPage, nextPage } from './pages.ts';
import { byMs } from './selection.ts';
import { type MsRange, msOf } from './time.ts';

/**
 * Divides a range of a channel into parts that hold about as many points each, however those lie in time. A part begins at
 * the ms of a stored point, so none is empty. There are exactly as many parts as are wanted when the range has points in
 * twice as many ms, else there may be fewer.
 *
 * The plan says how many points each chunk has and when the first of them is. That is enough for a chunk in which no more
 * than one part begins; only of longer chunks the times are fetched.
 * @param range of at least two ms, with finite bounds, that has points
 */
export async function gridOver(
  channel: PlannedChannel<SummaryPlan>,
  range: MsRange,
  partCount: number,
  limits: PointLimits,
): Promise<Grid> {
  const { starts, spares } = await candidatesOf(channel, range, partCount, limits);
  let chosen = apart(starts.view(), range);
  if (chosen.length < partCount) chosen = fillUp(chosen, spares.view(), range, partCount);
  if (chosen.length < partCount) chosen = await startsByCount(channel, range, partCount, limits);
  if (chosen.length === 0) chosen = new Float64Array(1);
  chosen[0] = range.fromMs;
  return { ...range, starts: chosen };
}

/** Times at which parts may begin: as many as are wanted, and others between them, since some will be the same. */
interface Candidates {
  starts: GrowingFloats;
  spares: GrowingFloats;
}

async function candidatesOf(
  { plan, fetch, rest }: PlannedChannel<SummaryPlan>,
  range: MsRange,
  partCount: number,
  limits: PointLimits,
): Promise<Candidates> {
  const counts = partsOfChunks(plan, range, partCount);
  const candidates = { starts: new GrowingFloats(), spares: new GrowingFloats() };
  for (let i = 0; i < plan.length; i++) {
    const firstMs = plan.firstMs[i] as number;
    if (firstMs < range.fromMs || firstMs > range.toMs) continue;
    if (counts[i] === 1) candidates.starts.push(firstMs);
    else candidates.spares.push(firstMs);
  }
  const isWanted = (position: number) =>
    (counts[position] as number) > 1 || (counts[position] === 1 && (plan.firstMs[position] as number) < range.fromMs);
  for (let from = 0; from < plan.length; ) {
    await rest();
    const page = nextPage(plan, from, limits, isWanted);
    const chunks = await fetchPage(fetch, plan, page, false);
    for (const [i, { times }] of chunks.entries()) {
      divide(candidates, distinctMs(times, range), counts[page.positions[i] as number] as number);
    }
    from = page.next;
  }
  return candidates;
}

/** How many parts begin in each chunk, by its share of the points. Points of one ms count once, as far as the plan tells. */
function partsOfChunks({ length, firstMs, lastMs, pointCounts }: SummaryPlan, range: MsRange, partCount: number) {
  const sums = new Float64Array(length + 1);
  for (let i = 0; i < length; i++) {
    const [first, last] = [firstMs[i] as number, lastMs[i] as number];
    const insideMs = Math.max(0, Math.min(last, range.toMs) - Math.max(first, range.fromMs) + 1);
    const inside = ((pointCounts[i] as number) * insideMs) / (last - first + 1);
    sums[i + 1] = (sums[i] as number) + Math.min(inside, insideMs);
  }
  const partPoints = (sums[length] as number) / partCount;
  const partsBefore = (sum: number) => Math.min(partCount, Math.ceil(sum / partPoints));
  return Uint32Array.from({ length }, (_, i) => partsBefore(sums[i + 1] as number) - partsBefore(sums[i] as number));
}

/** The ms of times that lie in a range, in order, each once. One loop, since nearly all times are in order. */
function distinctMs(times: Float64Array, { fromMs, toMs }: MsRange): Float64Array {
  const found = new Float64Array(times.length);
  let length = 0;
  let previous = Number.NEGATIVE_INFINITY;
  let isAscending = true;
  for (let i = 0; i < times.length; i++) {
    const ms = msOf(times[i] as number);
    if (!(ms >= fromMs && ms <= toMs) || ms === previous) continue;
    if (ms < previous) isAscending = false;
    found[length++] = previous = ms;
  }
  const all = found.subarray(0, length);
  return isAscending ? all : all.sort().filter((ms, i) => ms !== all[i - 1]);
}

function divide({ starts, spares }: Candidates, times: Float64Array, partCount: number): void {
  const parts = evenly(times, 2 * partCount);
  for (let i = 0; i < parts.length; i++) (i % 2 === 0 ? starts : spares).push(parts[i] as number);
}

/** So many of a list, or all of it, at even distances; the first is among them. */
function evenly(list: Float64Array, count: number): Float64Array {
  if (list.length <= count) return list;
  return Float64Array.from({ length: count }, (_, i) => list[Math.floor((i * list.length) / count)] as number);
}

/** Leaves out what would make a part of a single ms, whose smallest and largest value could not both be shown. */
function apart(times: Float64Array, { fromMs, toMs }: MsRange): Float64Array {
  let previous = Number.NEGATIVE_INFINITY;
  return times.toSorted().filter((ms, i) => {
    if (ms > toMs - 1 || ms < previous + 2) return false;
    // The first part begins with the range.
    previous = i === 0 ? fromMs : ms;
    return true;
  });
}

/** Adds as many of the spares as are needed and fit between the starts. */
function fillUp(starts: Float64Array, spares: Float64Array, range: MsRange, partCount: number): Float64Array {
  const isStart = new Set(starts);
  const all = apart(joined(starts, evenly(spares.toSorted(), 2 * partCount)), range);
  const fitting = all.filter((ms) => !isStart.has(ms));
  const kept = all.filter((ms) => isStart.has(ms));
  return joined(kept, evenly(fitting, partCount - kept.length)).sort();
}

function joined(one: Float64Array, other: Float64Array): Float64Array {
  const both = new Float64Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}

/** Goes through the times of all points, and keeps every so many of them. */
async function startsByCount(
  channel: PlannedChannel,
  range: MsRange,
  partCount: number,
  limits: PointLimits,
): Promise<Float64Array> {
  const kept = new Float64Array(partCount * 4);
  let length = 0;
  let stride = 1;
  let seen = 0;
  for await (const { times } of readInOrder(channel, { ...range, withValues: false }, byMs, limits)) {
    for (let i = 0; i < times.length; i++, seen++) {
      if (seen % stride !== 0) continue;
      if (length === kept.length) {
        for (let k = 0; k < length / 2; k++) kept[k] = kept[2 * k] as number;
        length /= 2;
        stride *= 2;
      }
      if (seen % stride === 0) kept[length++] = times[i] as number;
    }
  }
  return evenly(apart(kept.subarray(0, length), range), partCount);
}
