import { invalid } from '../errors.ts';
import { msOfDateTime, parseDateTime } from '../lib/date-time.ts';
import { finerUnitOf, finerUnits, type PlausibleTimes, unitWords } from '../lib/time-unit.ts';
import { msOf } from './time.ts';

/** Which points of a channel are wanted; all of them where nothing is set. Bounds of time are in ms, both included. */
export interface Selection {
  /** Only the newest points. */
  last_n?: number;
  /** Only points whose relative time is at least this. */
  elapsed_seconds?: number;
  startMs?: number;
  endMs?: number;
  /** At most this many points. */
  max_points?: number;
  /** Also the last point before the selected ones. */
  carry_in?: boolean;
}

/** Which points are wanted, and in which times they come out. */
export interface Wanted {
  selection: Selection;
  /** The ms from which the relative times of the selection count. */
  zeroMs: number;
  /** Must be `byMs` where the selection has `last_n` or `max_points`. */
  collapse: Collapse;
}

/**
 * Decides which points of a channel collapse into one: those whose seconds become the same time. Of these the last one
 * stays, by seconds, then chunk index, then position. A collapse must never reverse the order of two times.
 */
export type Collapse = (seconds: number) => number;

/** One point per ms, as the response shapes of the SDK need it. */
export const byMs: Collapse = msOf;

/** One point per exact time, in ms with fractions. */
export const exactMs: Collapse = (seconds) => seconds * 1_000;

/** One point per exact time in Unix seconds. */
export const byInstant: Collapse = (seconds) => seconds;

/**
 * The window of the query parameters `start` and `end`, in ms.
 * @throws ApiError 422 for a text that is no time, a time in a finer unit than seconds, or a start after the end
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

/** A time, rounded to ms like the times of points. */
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

/**
 * A client that sends back the `unix_timestamp_ms` of an answer would get an empty window, thousands of years after the
 * data.
 */
function refuseFinerUnit(name: string, text: string, time: number, plausible: PlausibleTimes): void {
  const unit = finerUnitOf(time, plausible);
  if (unit === undefined) return;
  const ms = msOf(time / finerUnits[unit]);
  const meant = `${ms / 1_000} or ${new Date(ms).toISOString()}`;
  const why = `${name} is in Unix seconds or ISO 8601, and ${text} looks like ${unitWords[unit]}: send ${meant}`;
  throw invalid(['query', name], why, text);
}
