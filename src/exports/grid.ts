import { invalid } from '../errors.ts';
import { durationMs } from '../lib/duration.ts';
import type { Selection } from '../points/selection.ts';
import type { ExportLimits } from './limits.ts';
import type { Fill, GridQuery } from './schemas.ts';
import type { CountedChannel } from './store.ts';

/**
 * Rows at even times, so that instruments that measure a moment apart share rows. Row k is at k × step since 1970, so files
 * with the same step have rows at the same times, whatever they contain.
 */
export interface Grid {
  stepMs: number;
  fill: Fill;
  /** The greatest age of a reading that `previous` shows; not used by `mean`. */
  maxAgeMs: number;
}

/** Bounds of time in ms, both included, and whether the last point of each channel before them is also wanted. */
export type Window = Pick<Selection, 'startMs' | 'endMs' | 'carry_in'>;

/** A range of rows, both included. */
export interface GridRows {
  first: number;
  last: number;
}

/** Default of `max_age`, in steps. */
const stepsCarried = 2;

/** @param query whose durations match their pattern @throws ApiError 422 for parameters of a grid without `every` */
export function gridOf({ every, fill, max_age: maxAge, layout }: GridQuery): Grid | undefined {
  if (every === undefined) {
    const [name] = Object.entries({ fill, max_age: maxAge }).find(([, value]) => value !== undefined) ?? [];
    if (name !== undefined)
      throw invalid(['query', name], `${name} says how the rows of every are filled; give every too`);
    return undefined;
  }
  if (layout !== 'wide') throw invalid(['query', 'every'], 'every is of the wide layout; give layout=wide too', every);
  if (maxAge !== undefined && fill === 'mean') {
    throw invalid(
      ['query', 'max_age'],
      'max_age is of fill=previous; a mean takes no reading from before its row',
      maxAge,
    );
  }
  const stepMs = durationMs(every) as number;
  return {
    stepMs,
    fill: fill ?? 'previous',
    maxAgeMs: maxAge === undefined ? stepMs * stepsCarried : (durationMs(maxAge) as number),
  };
}

/** The time of a row in Unix seconds: the float64 nearest to its ms. */
export const timeOfRow = ({ stepMs }: Pick<Grid, 'stepMs'>, row: number) => (row * stepMs) / 1_000;

/** The last row that is not after a time in Unix seconds. */
export function rowAtOrBefore(grid: Grid, seconds: number): number {
  let row = Math.floor((seconds * 1_000) / grid.stepMs);
  while (timeOfRow(grid, row) > seconds) row--;
  while (timeOfRow(grid, row + 1) <= seconds) row++;
  return row;
}

function rowAtOrAfter(grid: Grid, seconds: number): number {
  const row = rowAtOrBefore(grid, seconds);
  return timeOfRow(grid, row) === seconds ? row : row + 1;
}

/**
 * The rows of a stream within the window, from its first point to its last.
 * @returns undefined where there are none
 */
export function gridRows(
  grid: Grid,
  channels: readonly CountedChannel[],
  { startMs, endMs }: Window,
): GridRows | undefined {
  const [first, last] = extentOf(channels);
  if (first > last) return undefined;
  // A mean is shown in the row in which its readings begin. `previous` shows a reading in the first row at or after it.
  const rowOf = grid.fill === 'mean' ? rowAtOrBefore : rowAtOrAfter;
  const rows = {
    first: Math.max(rowOf(grid, first), startMs === undefined ? -Infinity : rowAtOrAfter(grid, startMs / 1_000)),
    last: Math.min(rowOf(grid, last), endMs === undefined ? Infinity : rowAtOrBefore(grid, endMs / 1_000)),
  };
  return rows.first > rows.last ? undefined : rows;
}

function extentOf(channels: readonly CountedChannel[]): [first: number, last: number] {
  let [first, last] = [Infinity, -Infinity];
  for (const { time_min, time_max } of channels) {
    first = Math.min(first, time_min ?? Infinity);
    last = Math.max(last, time_max ?? -Infinity);
  }
  return [first, last];
}

/** The window of points that rows need, so that every row is the same as without a window. It may be a ms too long. */
export function rangeOfRows(grid: Grid, { first, last }: GridRows): Window {
  const [from, to] = grid.fill === 'mean' ? [0, grid.stepMs] : [-grid.maxAgeMs, 0];
  return { startMs: first * grid.stepMs + from - 1, endMs: last * grid.stepMs + to + 1 };
}

/** @throws ApiError 422 for too many rows: a single wrong timestamp can make a grid years long */
export function requireFewRows(
  grid: Grid,
  rows: readonly (GridRows | undefined)[],
  { gridRowsMax }: ExportLimits,
): void {
  const count = rows.reduce((sum, one) => sum + (one === undefined ? 0 : one.last - one.first + 1), 0);
  if (count <= gridRowsMax) return;
  throw invalid(
    ['query', 'every'],
    `from the first point to the last, every ${grid.stepMs / 1_000} s is ${count} rows, and at most ${gridRowsMax} are possible (gridRowsMax): choose a larger every, or a window by start and end`,
  );
}
