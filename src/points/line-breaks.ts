import type { Batches, Gap } from './points.ts';

/** Spans across which no line may be drawn, by where they begin. Their ends are whole ms, so times with fractions count as those too. */
export type LineBreaks = Gap['between'][];

/** Those of the gaps that have data on both sides. */
export function lineBreaksOf(gaps: readonly Gap[]): LineBreaks {
  return gaps
    .map(({ between }) => between)
    .filter(({ lowMs, highMs }) => Number.isFinite(lowMs) && Number.isFinite(highMs))
    .sort((a, b) => a.lowMs - b.lowMs);
}

/**
 * Passes points on, whose times are ms, some with fractions, with a null in the middle of every two that have a break between them; not where
 * they are in ms next to each other, which leaves no room for one. Each batch is valid until the next one is asked for.
 */
export async function* withLineBreaks(batches: Batches, breaks: LineBreaks): Batches {
  if (breaks.length === 0) return yield* batches;
  let next = 0;
  /** How far the breaks reach that begin before the point at hand. */
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

/** A whole ms in the middle between two times; undefined where none is free. */
export function msBetween(earlierMs: number, laterMs: number): number | undefined {
  const first = Math.round(earlierMs);
  const apart = Math.round(laterMs) - first;
  return apart >= 2 ? first + Math.floor(apart / 2) : undefined;
}
