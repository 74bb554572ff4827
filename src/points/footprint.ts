import { invalid } from '../errors.ts';
import type { Reading } from '../lib/reading.ts';
import type { ChunkPlan, SummaryPlan } from './chunk-plan.ts';
import type { PointLimits } from './limits.ts';
import { fanOut } from './overview.ts';

/*
 * How much memory a read will take, as far as its plan shows. A read asks for it before it fetches any array. So a read
 * without enough memory waits, or is refused, before it has begun. Planning may have to fetch arrays too: `withRoomFor`
 * asks for what that takes.
 */

/** What a read holds in memory for one channel. */
export interface Footprint {
  /** Chunks in its plan. */
  chunks: number;
  /** Points in memory at the same time. */
  points: number;
  bytes: number;
  /**
   * Further bytes that are given back before the first points come out. When a read has several channels, only one takes
   * them at a time.
   */
  passingBytes: number;
  /** Bytes that a down-sampled read still holds once its points have been chosen, until they are written. */
  chosenBytes: number;
}

/** Bytes of a chunk in a plan without and with summaries. */
const [planBytes, summaryBytes] = [32, 96];
/** Bytes of a point: 24 as it arrives and 16 decoded. */
const pointBytes = 40;
/** Bytes of a stored point at most. */
const seriesBytes = 24;
/** Bytes of a point that a down-sampled read has chosen. It holds all of them until its end. */
const chosenBytes = 16;
/** Passing bytes: of a chosen point while points are sorted or filled up; of a chunk while the plan is divided into parts. */
const [choosingBytes, dividingBytes] = [32, 12];

/** Bytes of a stored block of an overview, at most. */
const blockBytes = 5_200;

/**
 * The footprint of a read in order of time. Chunks that follow each other in time pass through memory one page at a time. Chunks that
 * overlap wait in a buffer, which is sorted.
 */
export function footprintOf(plan: ChunkPlan, limits: PointLimits): Footprint {
  return footprintOfEntries(plan, limits, plan.pointCounts);
}

/** @param pointCounts how many points are held of each entry of the plan */
function footprintOfEntries(
  plan: ChunkPlan,
  { pagePointsMax, bufferPointsMax }: PointLimits,
  pointCounts: Float64Array,
): Footprint {
  let largest = 0;
  let all = 0;
  let isOverlapping = false;
  let lastMs = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < plan.length; i++) {
    const points = pointCounts[i] as number;
    all += points;
    if (points > largest) largest = points;
    if ((plan.firstMs[i] as number) <= lastMs) isOverlapping = true;
    lastMs = Math.max(lastMs, plan.lastMs[i] as number);
  }
  const page = Math.min(all, Math.max(pagePointsMax, largest));
  const points = isOverlapping ? Math.min(all, bufferPointsMax + page) * 2 : page;
  return {
    chunks: plan.length,
    points,
    bytes: plan.length * planBytes + points * pointBytes,
    passingBytes: 0,
    chosenBytes: 0,
  };
}

/**
 * The footprint of a down-sampled read. For a block of an overview it counts the block itself, and as many points as its chunks have on
 * average. A longer chunk takes its further memory when it is read (`bytesBeyond`).
 */
export function downSampledFootprintOf(plan: SummaryPlan, limits: PointLimits, pointsMax: number): Footprint {
  const chosen = Math.min(pointsMax, storedPointsOf(plan));
  return {
    ...heldAtATime(plan, limits),
    bytes: pageBytesOf(plan, limits) + plan.length * summaryBytes + chosen * chosenBytes,
    passingBytes: chosen * choosingBytes + plan.length * dividingBytes + crossedBlocksOf(plan, limits) * blockBytes,
    chosenBytes: chosen * chosenBytes + plan.length * summaryBytes,
  };
}

/** How many bytes a page of so many points takes beyond the memory that a down-sampled read of this plan has asked for. */
export function bytesBeyond(plan: SummaryPlan, limits: PointLimits, points: number): number {
  if (points <= limits.seriesPagePointsMax) return 0;
  return points * pointBytes - Math.max(limits.usualBytesMax, pageBytesOf(plan, limits));
}

/** Bytes of a page of so many decoded points beyond those that every read may use. */
export const pageBytesBeyondUsual = (points: number, { usualBytesMax }: PointLimits) =>
  points * pointBytes - usualBytesMax;

function pageBytesOf(plan: SummaryPlan, limits: PointLimits): number {
  const { points } = heldAtATime(plan, limits);
  return Math.max(points * pointBytes, Math.min(storedPointsOf(plan), limits.seriesPagePointsMax) * seriesBytes);
}

const heldAtATime = (plan: SummaryPlan, limits: PointLimits) =>
  footprintOfEntries(
    plan,
    limits,
    plan.pointCounts.map((points, i) => Math.ceil(points / fanOut ** (plan.levels[i] as number))),
  );

const storedPointsOf = ({ pointCounts }: ChunkPlan) => pointCounts.reduce((sum, points) => sum + points, 0);

/** How many blocks, of all levels, are held at most while the beginnings of parts are searched for in them. */
function crossedBlocksOf({ length, levels }: SummaryPlan, { pageBlocksMax }: PointLimits): number {
  const blocksOfLevel: number[] = [];
  for (let i = 0; i < length; i++) {
    for (let level = levels[i] as number, blocks = 1; level > 0; level--, blocks *= fanOut)
      blocksOfLevel[level] = (blocksOfLevel[level] ?? 0) + blocks;
  }
  return blocksOfLevel.reduce((sum, blocks) => sum + Math.min(blocks, pageBlocksMax), 0);
}

/**
 * Fetches arrays while a read is still being planned. The room for that is taken before and given back after, so that the
 * read holds none when it asks for the room of its points. Only the points that are kept stay in memory meanwhile: they are
 * part of what every read may use.
 */
export async function withRoomFor<Result>(
  { plan, enlarge }: { plan: ChunkPlan; enlarge: Reading['enlarge'] },
  limits: PointLimits,
  work: () => Promise<Result>,
  keptPoints = 0,
): Promise<Result> {
  const give = await enlarge(footprintOf(plan, limits).bytes + keptPoints * chosenBytes - limits.usualBytesMax);
  try {
    return await work();
  } finally {
    give();
  }
}

/** Bytes of the largest chunk of a plan, which is in memory twice: as it arrives, and decoded. */
export function largestChunkBytes({ pointCounts, length }: ChunkPlan): number {
  let largest = 0;
  for (let i = 0; i < length; i++) largest = Math.max(largest, pointCounts[i] as number);
  return largest * pointBytes;
}

/** @throws ApiError 422 for more than `plannedChunksMax` chunks */
export function requireFewChunks(chunks: number, { plannedChunksMax }: PointLimits): void {
  if (chunks <= plannedChunksMax) return;
  throw invalid(
    ['query'],
    `this read goes through more than ${plannedChunksMax} chunks (plannedChunksMax): ask for a window, by start and end or last_n, or for fewer channels; …/points/ and the long layout of exports have no such bound`,
  );
}

/** @throws ApiError 422 for more than `rowChannelsMax` channels */
export function requireFewChannels(channels: number, { rowChannelsMax }: PointLimits): void {
  if (channels <= rowChannelsMax) return;
  throw invalid(
    ['query'],
    `rows of ${channels} channels are too wide, at most ${rowChannelsMax} are possible (rowChannelsMax): choose some by property_names, or read by property under /tool-state/`,
  );
}

/** @throws ApiError 422 for rows that would hold more than `heldPointsMax` points at a time */
export function requireFewPoints(points: number, channels: number, { heldPointsMax }: PointLimits): void {
  if (points <= heldPointsMax) return;
  throw invalid(
    ['query'],
    `rows of these ${channels} channels hold ${points} points at a time, of each channel its longest chunk, and at most ${heldPointsMax} are possible (heldPointsMax): choose fewer by property_names, or read by property under /tool-state/`,
  );
}
