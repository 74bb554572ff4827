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
