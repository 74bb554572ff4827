/** The latest ms that a JavaScript Date, and so most clients, can show. A point beyond has no possible time. */
export const msMax = 8.64e15;

/**
 * The ms of a time in seconds: the nearest, and halves up (0.0005 s is 1 ms, −0.0005 s is 0 ms), so that the order of two
 * times is never reversed. NaN stays NaN.
 */
export function msOf(seconds: number): number {
  // Adding zero turns −0 into 0.
  return Math.round(seconds * 1_000) + 0;
}

/** The first ms whose relative time, (ms − zeroMs) / 1000 as a float64, is at least `elapsedSeconds`. */
export function firstMsElapsed(zeroMs: number, elapsedSeconds: number): number {
  if (elapsedSeconds > (2 * msMax) / 1_000) return Number.POSITIVE_INFINITY;
  if (elapsedSeconds < (-2 * msMax) / 1_000) return Number.NEGATIVE_INFINITY;
  let elapsedMs = Math.ceil(elapsedSeconds * 1_000);
  while ((elapsedMs - 1) / 1_000 >= elapsedSeconds) elapsedMs--;
  while (elapsedMs / 1_000 < elapsedSeconds) elapsedMs++;
  return zeroMs + elapsedMs;
}

/** A range of ms, both ends included; infinite where there is no bound. */
export interface MsRange {
  fromMs: number;
  toMs: number;
}

export const wholeRange: MsRange = { fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY };

export const isWholeRange = ({ fromMs, toMs }: MsRange) => fromMs === wholeRange.fromMs && toMs === wholeRange.toMs;
