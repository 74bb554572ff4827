import type { Static } from '@sinclair/typebox';
import { invalid } from '../errors.ts';
import { parseDateTime } from '../lib/date-time.ts';
import type { Selection } from '../points/selection.ts';
import { msOf } from '../points/time.ts';
import type { TimeseriesQuery } from './schemas.ts';

/** Which points of which channels a request wants. */
export interface TimeseriesSelection extends Selection {
  /** Names as the answer gives them; all channels without. */
  property_names?: string[];
}

/** @throws ApiError 422 for a start or end that is no time, and for a start after the end */
export function toSelection({
  start,
  end,
  ...selection
}: Omit<
  Static<ReturnType<typeof TimeseriesQuery>>,
  'available_properties' | 'return_null_if_missing'
>): TimeseriesSelection {
  const startMs = start === undefined ? undefined : instantMs('start', start);
  const endMs = end === undefined ? undefined : instantMs('end', end);
  if (startMs !== undefined && endMs !== undefined && startMs > endMs) {
    throw invalid(['query', 'start'], 'start must not be after end', start);
  }
  return { ...selection, ...(startMs !== undefined && { startMs }), ...(endMs !== undefined && { endMs }) };
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
