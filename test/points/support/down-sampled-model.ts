import { gapsOf, type ModelGap } from './gaps-model.ts';
import type { ModelChunk, ModelPoint } from './model.ts';

/*
 * What a read with `max_points` must answer, point for point: docs/reading.md and docs/decisions/0024-buckets-follow-the-points.md
 * ("Which points are shown") in lists that are held whole, and without any of the server's code.
 */

export interface ModelDownSampled {
  points: ModelPoint[];
  gaps: Omit<ModelGap, 'lowMs' | 'highMs'>[];
  isDownSampled: boolean;
  /** Which of the rules came to bear, for tests that want to have met them all. */
  rules: Set<ModelRule>;
}

export const modelRules = [
  ...(['all', 'all, with fractions', 'even parts', 'parts of chunks'] as const),
  ...(['side by side', 'crowded ms', 'crowded last ms', 'filled up', 'divided again', 'null in a gap'] as const),
];
export type ModelRule = (typeof modelRules)[number];

interface Window {
  startMs?: number | undefined;
  endMs?: number | undefined;
  max_points: number;
  /** Also the last point before the window. */
  carry_in?: boolean | undefined;
}

export function modelDownSampled(
  chunks: ModelChunk[],
  { startMs, endMs, max_points, carry_in }: Window,
): ModelDownSampled {
  const rules = new Set<ModelRule>();
  const stored = [...new Map(chunks.map((one) => [one.chunk_index, one])).values()];
  const window = { fromMs: startMs ?? Number.NEGATIVE_INFINITY, toMs: endMs ?? Number.POSITIVE_INFINITY };
  const list = stored.map(chunkOf).sort((a, b) => a.index - b.index);
  const gaps = gapsOf(list, window);
  const breaks = gaps.filter(({ lowMs, highMs }) => Number.isFinite(lowMs) && Number.isFinite(highMs));
  const before = list.flatMap(({ points }) => points).filter(({ ms }) => ms < window.fromMs);
  const carried =
    carry_in === true && startMs !== undefined ? lastOfEach(byTime(before), ({ ms }) => ms).slice(-1) : [];
  const answer = (shown: Point[], isDownSampled: boolean): ModelDownSampled => {
    const points = withNulls([...carried, ...shown], breaks).map(({ at, value }) => ({ ms: at + 0, value }));
    if (count(shown) > shown.length) rules.add('null in a gap');
    return { points, gaps: gaps.map(({ lowMs, highMs, ...gap }) => gap), isDownSampled, rules };
  };

  const reaching = list.filter(
    (one) => one.points.length > 0 && one.lastMs >= window.fromMs && one.firstMs <= window.toMs,
  );
  reaching.sort((a, b) => a.firstMs - b.firstMs || a.index - b.index);
  const held = {
    fromMs: Math.max(window.fromMs, ...reaching.slice(0, 1).map((one) => one.firstMs)),
    toMs: Math.min(window.toMs, Math.max(...reaching.map((one) => one.lastMs))),
  };
  const inside = byTime(reaching.flatMap(({ points }) => points)).filter(
    ({ ms }) => ms >= held.fromMs && ms <= held.toMs,
  );
  const count = (points: Point[]) => withNulls(points, breaks).length;

  const whole = reaching.filter((one) => isWhole(one, window));
  if (sum(whole.map((one) => one.count)) <= max_points || held.toMs - held.fromMs < max_points) {
    const apart = lastOfEach(inside, ({ seconds }) => seconds * 1_000);
    const msCount = new Set(withNulls(apart, breaks).map(({ at }) => Math.round(at))).size;
    if (count(apart) <= max_points) {
      const areShared = count(apart) > msCount;
      rules.add(areShared ? 'all, with fractions' : 'all');
      return answer(areShared ? apart : lastOfEach(inside, ({ ms }) => ms), false);
    }
    if (msCount <= max_points) {
      rules.add('even parts');
      const choose = (parts: number) => extremesOf(evenParts(apart, parts));
      return answer(chosen(choose, undefined), true);
    }
  }
  rules.add('parts of chunks');
  return answer(
    chosen(
      (parts) => onePerMs(extremesOf(partsOfChunks(reaching, window, held, parts)), held, rules),
      lastOfEach(inside, ({ ms }) => ms),
    ),
    true,
  );

  /** Half as many parts as points may be shown, less one null for each gap; and half of that where there are more nulls. */
  function chosen(choose: (parts: number) => Point[], others: Point[] | undefined): Point[] {
    const half = Math.floor(max_points / 2);
    const shownOf = (room: number) => {
      const points = choose(Math.floor(room / 2));
      const lacking = half - count(points);
      if (lacking <= 0 || others === undefined) return points;
      const taken = points.map(({ at }) => at);
      const left = others.filter(({ ms }) => !taken.includes(ms));
      if (left.length > 0) rules.add('filled up');
      return inOrder([...points, ...spread(left, lacking, room - points.length)]);
    };
    const shown = shownOf(Math.max(half, max_points - breaks.length));
    if (count(shown) <= max_points) return shown;
    rules.add('divided again');
    return shownOf(half);
  }
}

/** A stored point; `at` is where it is shown, in ms. */
interface Point {
  at: number;
  ms: number;
  seconds: number;
  value: number | null;
  index: number;
  position: number;
}

interface Range {
  fromMs: number;
  toMs: number;
}

type Chunk = ReturnType<typeof chunkOf>;

function chunkOf({ chunk_index: index, timestamps, values }: ModelChunk) {
  const points = timestamps.flatMap((seconds, position): Point[] => {
    if (seconds === null) return [];
    const ms = Math.round(seconds * 1_000) + 0;
    return [{ at: ms, ms, seconds, value: values[position] ?? null, index, position }];
  });
  const times = points.map(({ ms }) => ms);
  return { index, count: timestamps.length, points, firstMs: Math.min(...times), lastMs: Math.max(...times) };
}

const isWhole = (chunk: Chunk, { fromMs, toMs }: Range) => chunk.firstMs >= fromMs && chunk.lastMs <= toMs;
const sum = (numbers: number[]) => numbers.reduce((total, one) => total + one, 0);
const inOrder = (points: Point[]) => points.toSorted((a, b) => a.at - b.at);

/** In order of time; of equal times the last stands last. */
const byTime = (points: Point[]) =>
  points.toSorted((a, b) => a.seconds - b.seconds || a.index - b.index || a.position - b.position);

/** Of points in order, the last of each time. */
function lastOfEach(points: Point[], timeOf: (point: Point) => number): Point[] {
  return [...new Map(points.map((point) => [timeOf(point), point]))].map(([at, point]) => ({ ...point, at }));
}

/** Parts of as many points each; the points are more than the parts. */
function evenParts(points: Point[], count: number): Point[][] {
  const begins = Array.from({ length: count + 1 }, (_, part) => Math.ceil((part * points.length) / count));
  return begins.slice(1).map((end, part) => points.slice(begins[part], end));
}

/** Parts of about as many points each: each chunk has its share of them. */
function partsOfChunks(chunks: Chunk[], window: Range, held: Range, count: number): Point[][] {
  const spans = chunks.filter((one) => one.lastMs > one.firstMs);
  const closest = Math.max(0, ...spans.map((one) => (one.count - 1) / (one.lastMs - one.firstMs)));
  const shares = chunks.map((one) => {
    if (isWhole(one, window)) return Math.min(one.count, one.lastMs - one.firstMs + 1);
    const insideMs = Math.min(one.lastMs, held.toMs) - Math.max(one.firstMs, held.fromMs) + 1;
    return Math.min(one.count, Math.round(Math.max(1, insideMs * Math.min(1, closest)) * 2 ** 20) / 2 ** 20);
  });
  const dueAfter = (chunk: number) => Math.ceil((sum(shares.slice(0, chunk)) * count) / sum(shares));
  const parts: Point[][] = [];
  for (const [i, chunk] of chunks.entries()) {
    const due = dueAfter(i + 1) - dueAfter(i);
    const points = due <= 1 && isWhole(chunk, window) ? knownOf(chunk) : chunk.points;
    const inside = points.filter(({ ms }) => ms >= held.fromMs && ms <= held.toMs);
    const numbers = runNumbers(inside);
    const runs = (numbers.at(-1) ?? 0) + 1;
    const partOf = (run: number) => (due === 0 ? 0 : Math.floor((run * due) / runs));
    for (const [k, point] of inside.entries()) {
      const run = numbers[k] as number;
      const begins = due > 0 && (k === 0 || partOf(run) > partOf(numbers[k - 1] as number));
      if (begins || parts.length === 0) parts.push([]);
      parts.at(-1)?.push(point);
    }
  }
  return parts;
}

/** Points behind each other that share their ms have the same number. */
function runNumbers(points: Point[]): number[] {
  let number = -1;
  return points.map(({ ms }, i) => (ms === points[i - 1]?.ms ? number : ++number));
}

/** What is known of a chunk without its arrays: the first of its smallest and of its largest readings. */
function knownOf({ points, firstMs }: Chunk): Point[] {
  const readings = points.filter(({ value }) => value !== null).sort(byValue);
  if (readings.length === 0) return points.filter(({ ms }) => ms === firstMs).slice(0, 1);
  const greatest = readings.at(-1)?.value;
  return [readings[0] as Point, readings.find(({ value }) => value === greatest) as Point];
}

const byValue = (a: { value: number | null }, b: { value: number | null }) => (a.value ?? 0) - (b.value ?? 0);

/** Of each part the smallest reading, of equal ones the earliest, and the largest, the latest; the earliest of none but absent ones. */
function extremesOf(parts: Point[][]): Point[] {
  return parts.flatMap((part) => {
    const readings = inOrder(part)
      .filter(({ value }) => value !== null)
      .sort(byValue);
    if (readings.length === 0) return inOrder(part).slice(0, 1);
    const [least, greatest] = [readings[0] as Point, readings.at(-1) as Point];
    return least.at === greatest.at && least.value === greatest.value ? [least] : inOrder([least, greatest]);
  });
}

/** One point a ms. Of a ms with several the smallest and the largest stay, one of them in the next ms, or in the one before. */
function onePerMs(chosen: Point[], held: Range, rules: Set<ModelRule>): Point[] {
  const shown: Point[] = [];
  const left = inOrder(chosen);
  const takeAt = (ms: number) => left.splice(0, left.filter(({ at }) => at === ms).length);
  const put = (point: Point, at: number) => shown.push({ ...point, at });
  while (left.length > 0) {
    const ms = left[0]?.at as number;
    const here = extremesOf([takeAt(ms)]);
    const [least, greatest] = here.length === 1 ? [here[0] as Point] : (here.sort(byValue) as [Point, Point]);
    const isNextFree = ms < held.toMs && left[0]?.at !== ms + 1;
    const isLastFree = ms > held.fromMs && shown.at(-1)?.at !== ms - 1;
    if (greatest === undefined) put(least, ms);
    else if (isNextFree) {
      rules.add('side by side');
      put(least, ms);
      put(greatest, ms + 1);
    } else if (isLastFree) {
      rules.add('side by side');
      put(least, ms - 1);
      put(greatest, ms);
    } else {
      // Neither is free: the smallest and the largest of both ms stay, one in each.
      const isLast = ms === held.toMs;
      rules.add(isLast ? 'crowded last ms' : 'crowded ms');
      const first = isLast ? ms - 1 : ms;
      const both = isLast ? [shown.pop() as Point, ...here] : [...here, ...takeAt(ms + 1)];
      const [low, high] = extremesOf([both]).sort(byValue) as [Point, Point];
      put(low, low.at === high.at ? first : low.at);
      put(high, low.at === high.at ? first + 1 : high.at);
      shown.push(...inOrder(shown.splice(-2)));
    }
  }
  return shown;
}

/** Of points in order at least so many, and no more than may be, at even distances: every second, every fourth… */
function spread(points: Point[], least: number, most: number): Point[] {
  let every = 1;
  while (Math.ceil(points.length / every) > 2 * least) every *= 2;
  const kept = points.filter((_, i) => i % every === 0);
  if (kept.length <= most) return kept;
  return Array.from({ length: most }, (_, i) => kept[Math.floor((i * kept.length) / most)] as Point);
}

/** A null in the middle between two points that have a gap between them, where a ms is free there. */
function withNulls(points: Point[], breaks: ModelGap[]): Pick<Point, 'at' | 'value'>[] {
  return points.flatMap((point, i) => {
    const [before, ms] = [Math.round(points[i - 1]?.at ?? Number.NaN), Math.round(point.at)];
    const isBroken = ms - before >= 2 && breaks.some(({ lowMs, highMs }) => lowMs < ms && highMs > before);
    return isBroken ? [{ at: before + Math.floor((ms - before) / 2), value: null }, point] : [point];
  });
}
