import { invalid } from '../errors.ts';
import { parseDateTime } from '../lib/date-time.ts';
import { msOf } from './time.ts';

/** Which points of a channel are wanted; all of them where nothing is said. Bounds of time are in ms, both included. */
export interface Selection {
  /** Only the newest points. */
  last_n?: number;
  /** Only points whose relative time is at least this. */
  elapsed_seconds?: number;
  startMs?: number;
  endMs?: number;
  /** At most so many points. */
  max_points?: number;
}

/** Which points are wanted, and how they come out. */
export interface Wanted {
  selection: Selection;
  /** The ms from which the relative times of the selection count. */
  zeroMs: number;
  /** Where the selection has `last_n` or `max_points`, which count ms, it is `byMs`. */
  collapse: Collapse;
}

/**
 * Which points of a channel collapse into one: those whose seconds become the same time. Of them the last stays, in the
 * order of seconds, chunk index and position. It must never turn the order of times.
 */
export type Collapse = (seconds: number) => number;

/** One point per ms, as the shapes of the SDK need it. */
export const byMs: Collapse = msOf;

/** One point per exact time in Unix seconds. */
export const byInstant: Collapse = (seconds) => seconds;

/**
 * The window that the parameters `start` and `end` of a request name, in ms.
 * @throws ApiError 422 for one that is no time, and for a start after the end
 */
export function windowOf({
  start,
  end,
}: {
  start?: string | undefined;
  end?: string | undefined;
}): Pick<Selection, 'startMs' | 'endMs'> {
  const startMs = start === undefined ? undefined : instantMs('start', start);
  const endMs = end === undefined ? undefined : instantMs('end', end);
  if (startMs !== undefined && endMs !== undefined && startMs > endMs) {
    throw invalid(['query', 'start'], 'start must not be after end', start);
  }
  return { ...(startMs !== undefined && { startMs }), ...(endMs !== undefined && { endMs }) };
}

const secondsPattern = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;

/** A time rounded to ms as those of points are. Date.parse would cut the fraction of a second, so it is read apart. */
function instantMs(name: string, text: string): number {
  if (secondsPattern.test(text)) {
    const ms = msOf(Number(text));
    if (Number.isFinite(ms)) return ms;
  }
  const dateTime = parseDateTime(text);
  if (dateTime === undefined) {
    const why = `${name} must be a date-time such as 2026-01-31T08:00:00.5Z (a + in a URL is written %2B) or Unix seconds`;
    throw invalid(['query', name], why, text);
  }
  const [, whole, fraction = '', zone] = /^([^.]*?\d\d:\d\d:\d\d)(\.\d+)?(.*)$/.exec(dateTime) as RegExpExecArray;
  const offset = zone === 'Z' ? zone : `${zone?.slice(0, 3)}:${zone?.slice(-2)}`;
  return Date.parse(`${whole}${offset}`) + msOf(Number(`0${fraction}`));
}
