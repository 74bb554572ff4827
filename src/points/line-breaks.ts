import type { Batches, Gap } from './points.ts';

/**
 * Spans of time across which no line may be drawn, in order of their beginning. Their bounds are whole ms, so times with
 * fractions are rounded before they are compared.
 */
export type LineBreaks = Gap['between'][];

/** The spans of the gaps that have data on both sides. */
export function lineBreaksOf(gaps: readonly Gap[]): LineBreaks {
  return gaps
    .map(({ between }) => between)
    .filter(({ lowMs, highMs }) => Number.isFinite(lowMs) && Number.isFinite(highMs))
    .sort((a, b) => a.lowMs - b.lowMs);
}

/**
 * Passes points on, and puts a null in the middle between two points with a break between them. Where the two points are in
 * adjacent ms there is no room for a null, and none goes out. Times are in ms, some with fractions. Each batch is valid
 * until the next one is asked for.
 */
export async function* withLineBreaks(batches: Batches, breaks: LineBreaks): Batches {
  if (breaks.length === 0) return yield* batches;
  let next = 0;
  /** The latest end of the breaks that begin before the current point. */
  let reachMs = Number.NEGATIVE_INFINITY;
  let lastMs = Number.NaN;
  for await (const points of batches) {
    const times = new Float64Array(points.times.length * 2);
    const values = new Float64Array(points.values.length * 2).fill(Number.NaN);
    let length = 0;
    for (let i = 0; i < points.times.length; i++) {
      const at = points.times[i] as number;
      const atMs = Math.round(at);
      for (; next < breaks.length && (breaks[next]?.lowMs as number) < atMs; next++) {
        reachMs = Math.max(reachMs, breaks[next]?.highMs as number);
      }
      const middleMs = reachMs > lastMs ? msBetween(lastMs, atMs) : undefined;
      if (middleMs !== undefined) times[length++] = middleMs;
      if (i < points.values.length) values[length] = points.values[i] as number;
      times[length++] = at;
      lastMs = atMs;
    }
    yield { times: times.subarray(0, length), values: values.subarray(0, length) };
  }
}

/** A whole ms in the middle between two times; undefined where there is none between them. */
export function msBetween(earlierMs: number, laterMs: number): number | undefined {
  const first = Math.round(earlierMs);
  const apart = Math.round(laterMs) - first;
  return apart >= 2 ? first + Math.floor(apart / 2) : undefined;
}
