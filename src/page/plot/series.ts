import type { Range } from './window.ts';

/** Chunks that are missing below others. A side without an end is null: nothing is stored there. */
export interface Gap {
  fromChunk: number;
  toChunk: number;
  endsMs: number | null;
  beginsMs: number | null;
}

/** What is known of a channel within a range. */
export interface Series {
  /** Unix ms, ascending. */
  times: number[];
  /** Null where a reading is absent, and between points with missing chunks between them. */
  values: (number | null)[];
  gaps: Gap[];
  /** Whether only the extremes of parts of the time are here. Undefined: nobody has said. */
  downSampled: boolean | undefined;
}

export const noSeries: Series = { times: [], values: [], gaps: [], downSampled: false };

/** The first place whose time is at or after an instant. */
export function placeFrom(times: readonly number[], ms: number): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] as number) < ms) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A series in which a range was read anew; what it held there is gone. */
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

/** Without what lies before an instant, but for the last point, from which the line comes into the picture. */
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
 * The range that must be read anew where a stretch of a channel has changed: from the point before it to the point after
 * it, so that the server sees whether chunks are missing between them.
 */
export function rangeToRead({ times }: Series, changed: Range, within: Range): Range | undefined {
  if (changed.toMs < within.fromMs || changed.fromMs > within.toMs) return undefined;
  const [first, next] = [placeFrom(times, changed.fromMs) - 1, placeAfter(times, changed.toMs)];
  const fromMs = times[first] ?? within.fromMs;
  const toMs = times[next] ?? within.toMs;
  return { fromMs: Math.max(fromMs, within.fromMs), toMs: Math.max(Math.min(toMs, within.toMs), fromMs) };
}

/** The value at the point that is nearest to an instant; undefined where there is none. */
export function readingNear({ times, values }: Series, ms: number): { ms: number; value: number | null } | undefined {
  const place = placeFrom(times, ms);
  const before = times[place - 1] ?? Number.NEGATIVE_INFINITY;
  const after = times[place] ?? Number.POSITIVE_INFINITY;
  const nearest = ms - before < after - ms ? place - 1 : place;
  const time = times[nearest];
  return time === undefined ? undefined : { ms: time, value: values[nearest] ?? null };
}

/** The first place whose time is after an instant. */
function placeAfter(times: readonly number[], ms: number): number {
  let place = placeFrom(times, ms);
  while (times[place] === ms) place++;
  return place;
}

function either(a: boolean | undefined, b: boolean | undefined): boolean | undefined {
  if (a === true || b === true) return true;
  return a === undefined || b === undefined ? undefined : false;
}
