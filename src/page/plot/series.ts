import type { Range } from './window.ts';

/** Missing chunks, and the times of the stored points around them in Unix ms. A time is null when nothing is stored on that side. */
export interface Gap {
  fromChunk: number;
  toChunk: number;
  endsMs: number | null;
  beginsMs: number | null;
}

/** The points and gaps of a channel within a range. */
export interface Series {
  /** Unix ms, ascending. */
  times: number[];
  /** Null where a reading is absent, and between points with missing chunks between them. */
  values: (number | null)[];
  gaps: Gap[];
  /** Whether it has only the extremes of each part of the range. Undefined when the server does not say. */
  downSampled: boolean | undefined;
}

export const noSeries: Series = { times: [], values: [], gaps: [], downSampled: false };

/** The first index whose time is at or after an instant. */
export function placeFrom(times: readonly number[], ms: number): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] as number) < ms) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The series with the points and gaps of a range replaced by newly read ones. */
export function withRange(old: Series, { fromMs, toMs }: Range, read: Series): Series {
  const [before, after] = [placeFrom(old.times, fromMs), placeAfter(old.times, toMs)];
  const isOutside = ({ endsMs, beginsMs }: Gap) =>
    (beginsMs ?? Number.POSITIVE_INFINITY) < fromMs || (endsMs ?? Number.NEGATIVE_INFINITY) > toMs;
  const known = new Set(read.gaps.map(({ fromChunk }) => fromChunk));
  return {
    times: [...old.times.slice(0, before), ...read.times, ...old.times.slice(after)],
    values: [...old.values.slice(0, before), ...read.values, ...old.values.slice(after)],
    gaps: [...old.gaps.filter((gap) => isOutside(gap) && !known.has(gap.fromChunk)), ...read.gaps].sort(
      (a, b) => a.fromChunk - b.fromChunk,
    ),
    downSampled: either(old.downSampled, read.downSampled),
  };
}

/** The series without the points before an instant. The last of them stays, since the line to the first visible point begins there. */
export function trimmedBefore(series: Series, ms: number): Series {
  const place = Math.max(0, placeFrom(series.times, ms) - 1);
  if (place === 0) return series;
  return {
    ...series,
    times: series.times.slice(place),
    values: series.values.slice(place),
    gaps: series.gaps.filter(({ beginsMs }) => beginsMs === null || beginsMs >= ms),
  };
}

/**
 * The range to read again after a range of a channel has changed: from the point before it to the point after it, so that
 * the answer tells whether chunks are missing between them.
 */
export function rangeToRead({ times }: Series, changed: Range, within: Range): Range | undefined {
  if (changed.toMs < within.fromMs || changed.fromMs > within.toMs) return undefined;
  const [first, next] = [placeFrom(times, changed.fromMs) - 1, placeAfter(times, changed.toMs)];
  const fromMs = times[first] ?? within.fromMs;
  const toMs = times[next] ?? within.toMs;
  return { fromMs: Math.max(fromMs, within.fromMs), toMs: Math.max(Math.min(toMs, within.toMs), fromMs) };
}

/** The point that is nearest to an instant; undefined when there is none. */
export function readingNear({ times, values }: Series, ms: number): { ms: number; value: number | null } | undefined {
  const place = placeFrom(times, ms);
  const before = times[place - 1] ?? Number.NEGATIVE_INFINITY;
  const after = times[place] ?? Number.POSITIVE_INFINITY;
  const nearest = ms - before < after - ms ? place - 1 : place;
  const time = times[nearest];
  return time === undefined ? undefined : { ms: time, value: values[nearest] ?? null };
}

/** The first index whose time is after an instant. */
function placeAfter(times: readonly number[], ms: number): number {
  let place = placeFrom(times, ms);
  while (times[place] === ms) place++;
  return place;
}

function either(a: boolean | undefined, b: boolean | undefined): boolean | undefined {
  if (a === true || b === true) return true;
  return a === undefined || b === undefined ? undefined : false;
}
