import type { ChannelSource } from './channel-source.ts';
import type { ChunkPlan, SummaryPlan } from './chunk-plan.ts';
import { readExtremes } from './extremes.ts';
import { fillUp } from './fill-up.ts';
import { requireFewChunks, withRoomFor } from './footprint.ts';
import type { PointLimits } from './limits.ts';
import { type LineBreaks, lineBreaksOf, withLineBreaks } from './line-breaks.ts';
import type { PlannedChannel } from './merge.ts';
import { onePerMs } from './one-per-ms.ts';
import { isInside } from './parts.ts';
import type { PlannedRead } from './planned-read.ts';
import type { Batches, Gap, Points } from './points.ts';
import { readAllIfFew, roomToKeep } from './read-few.ts';
import type { MsRange } from './time.ts';

/**
 * Reads at most `pointsMax` points, including the nulls between them. When the range has no more, these are all of its points. Otherwise
 * the range is divided into parts with about equally many points, and the extremes of each part are read; these are at least half of
 * `pointsMax`, however the times lie.
 */
export async function downSample(
  source: DownSampled,
  range: MsRange,
  gaps: readonly Gap[],
  pointsMax: number,
  limits: PointLimits,
): Promise<Pick<PlannedRead, 'batches' | 'isDownSampled' | 'getReady' | 'keptPoints'>> {
  const breaks = lineBreaksOf(gaps);
  const held = spanOf(source.plan, range);
  const mayBeFew = pointsWithin(source.plan, range) <= pointsMax || held.toMs - held.fromMs < pointsMax;
  const few = mayBeFew
    ? await readAllIfFewWithin(await chunkByChunk(source, range, limits), range, breaks, pointsMax, limits)
    : undefined;
  if (few?.isWhole) return { isDownSampled: false, batches: few.batches, keptPoints: few.keptPoints };
  const choice: Choice =
    few === undefined
      ? {
          choose: async (partCount, shared) =>
            onePerMs(await readExtremes(source, held, partCount, shared), held, source.rest),
          fillUp: async (points, room, shared) =>
            fillUp(await chunkByChunk(source, range, shared), held, points, room, shared),
        }
      : few;
  // The points are chosen once, when they are first asked for, because the caller takes the memory for that after this function.
  let chosen: Promise<Points> | undefined;
  const chosenWithin = (shared: PointLimits) => {
    chosen ??= choosePoints(choice, breaks, pointsMax, shared);
    return chosen;
  };
  return {
    isDownSampled: true,
    getReady: async () => void (await chosenWithin(limits)),
    async *batches({ limits: shared = limits }) {
      yield* withLineBreaks(inBatches(await chosenWithin(shared)), breaks);
    },
  };
}

/** Looks at all points of a range, and asks for the room that this takes before it fetches any. */
function readAllIfFewWithin(
  source: DownSampled,
  range: MsRange,
  breaks: LineBreaks,
  pointsMax: number,
  limits: PointLimits,
) {
  const keptPoints = roomToKeep(source.plan, pointsMax, limits);
  return withRoomFor(source, limits, () => readAllIfFew(source, range, breaks, pointsMax, limits), keptPoints);
}

/** A planned channel whose plan may contain blocks, and the statements that plan it without blocks. */
type DownSampled = PlannedChannel<SummaryPlan> &
  Pick<ChannelSource, 'fetchSeries' | 'overview' | 'planWithSummaries' | 'enlarge'>;

/** The same channel, planned without blocks. @throws ApiError 422 for more chunks than a read may go through */
async function chunkByChunk(source: DownSampled, range: MsRange, limits: PointLimits): Promise<DownSampled> {
  if (!source.plan.levels.some((level) => level > 0)) return source;
  const plan = await source.planWithSummaries(range);
  requireFewChunks(plan.length, limits);
  return { ...source, plan };
}

/** How points are chosen where there are more than may be shown. `limits` are this channel's share of those of the read. */
interface Choice {
  /** At most two points of each part, in order of time. */
  choose(partCount: number, limits: PointLimits): Promise<Points>;
  /** Adds other points where the parts have given too few. Absent where every part is known to have points. */
  fillUp?(points: Points, room: { least: number; most: number }, limits: PointLimits): Promise<Points>;
}

/** Chooses the points to show. With the nulls between them they are at most `pointsMax`. */
async function choosePoints(
  { choose, fillUp: addOthers }: Choice,
  breaks: LineBreaks,
  pointsMax: number,
  limits: PointLimits,
): Promise<Points> {
  const half = Math.floor(pointsMax / 2);
  const countShown = (points: Points) => countUpTo(pointsMax + 1, withLineBreaks(inBatches(points), breaks));
  // Nearly always a break needs one null. Where points lie inside a break, each of them may be followed by one, so the first choice
  // can be too large; then half as many points are chosen.
  let room = Math.max(half, pointsMax - breaks.length);
  for (;;) {
    let points = await choose(Math.floor(room / 2), limits);
    let shown = await countShown(points);
    if (shown < half && addOthers !== undefined) {
      points = await addOthers(points, { least: half - shown, most: room - points.times.length }, limits);
      shown = await countShown(points);
    }
    if (shown <= pointsMax || room === half) return points;
    room = half;
  }
}

/** How many points a batch has. */
const batchLength = 8_192;

async function* inBatches({ times, values }: Points): Batches {
  for (let from = 0; from < times.length; from += batchLength) {
    const to = from + batchLength;
    yield { times: times.subarray(from, to), values: values.subarray(from, to) };
  }
}

/** The span between the first and the last point of a plan, cut to a range. */
function spanOf({ length, firstMs, lastMs }: ChunkPlan, { fromMs, toMs }: MsRange): MsRange {
  let last = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < length; i++) last = Math.max(last, lastMs[i] as number);
  return { fromMs: Math.max(fromMs, firstMs[0] ?? Number.POSITIVE_INFINITY), toMs: Math.min(toMs, last) };
}

/** How many points there are in the chunks that lie wholly inside a range. */
function pointsWithin(plan: ChunkPlan, range: MsRange): number {
  let points = 0;
  for (let i = 0; i < plan.length; i++) if (isInside(plan, i, range)) points += plan.pointCounts[i] as number;
  return points;
}

/** Counts points, and stops once it has reached `enough`. */
async function countUpTo(enough: number, batches: Batches): Promise<number> {
  let count = 0;
  for await (const { times } of batches) {
    count += times.length;
    if (count >= enough) break;
  }
  return count;
}
