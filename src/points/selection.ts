import { invalid } from '../errors.ts';
import { msOfDateTime, parseDateTime } from '../lib/date-time.ts';
import { finerUnitOf, finerUnits, type PlausibleTimes, unitWords } from '../lib/time-unit.ts';
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
  /** Also the last point before them. */
  carry_in?: boolean;
}

/** Which points are wanted, and how they come out. */
export interface Wanted {
  selection: Selection;
  /** The ms from which the relative times of the selection count. */
  zeroMs: number;
  /** Where the selection has `last_n` or `max_points`, it is `byMs`. */
  collapse: Collapse;
}

/**
 * Which points of a channel collapse into one: those whose seconds become the same time. Of them the last stays, in the
 * order of seconds, chunk index and position. It must never turn the order of times.
 */
export type Collapse = (seconds: number) => number;

/** One point per ms, as the shapes of the SDK need it. */
export const byMs: Collapse = msOf;

/** One point per exact time, in ms with fractions. */
export const exactMs: Collapse = (seconds) => seconds * 1_000;

/** One point per exact time in Unix seconds. */
export const byInstant: Collapse = (seconds) => seconds;

/**
 * The window that the parameters `start` and `end` of a request name, in ms.
 * @throws ApiError 422 for one that is no time, for one in a finer unit than seconds, and for a start after the end
 */
export function windowOf(
  { start, end }: { start?: string | undefined; end?: string | undefined },
  plausible: PlausibleTimes,
): Pick<Selection, 'startMs' | 'endMs'> {
  const startMs = start === undefined ? undefined : instantMs('start', start, plausible);
  const endMs = end === undefined ? undefined : instantMs('end', end, plausible);
  if (startMs !== undefined && endMs !== undefined && startMs > endMs) {
    throw invalid(['query', 'start'], 'start must not be after end', start);
  }
  return { ...(startMs !== undefined && { startMs }), ...(endMs !== undefined && { endMs }) };
}

const secondsPattern = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;

/** A time rounded to ms as those of points are. */
function instantMs(name: string, text: string, plausible: PlausibleTimes): number {
  if (secondsPattern.test(text)) {
    const seconds = Number(text);
    refuseFinerUnit(name, text, seconds, plausible);
    const ms = msOf(seconds);
    if (Number.isFinite(ms)) return ms;
  }
  const dateTime = parseDateTime(text);
  if (dateTime === undefined) {
    const why = `${name} must be a date-time such as 2026-01-31T08:00:00.5Z (a + in a URL is written %2B) or Unix seconds`;
    throw invalid(['query', name], why, text);
  }
  return msOfDateTime(dateTime);
}

/** Whoever gives an answer's own `unix_timestamp_ms` would get an empty window, thousands of years from the data. */
function refuseFinerUnit(name: string, text: string, time: number, plausible: PlausibleTimes): void {
  const unit = finerUnitOf(time, plausible);
  if (unit === undefined) return;
  const ms = msOf(time / finerUnits[unit]);
  const meant = `${ms / 1_000} or ${new Date(ms).toISOString()}`;
  const why = `${name} is in Unix seconds or ISO 8601, and ${text} looks like ${unitWords[unit]}: send ${meant}`;
  throw invalid(['query', name], why, text);
}
