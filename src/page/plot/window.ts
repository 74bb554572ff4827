import type { WindowSpec } from '../url-state.ts';

/** A range of time in ms; `toMs` is greater than `fromMs`. */
export interface Range {
  fromMs: number;
  toMs: number;
}

/** The narrowest window. Its ends must stay different numbers, and a float64 of Unix ms has steps of 0.0002. */
export const windowMsMin = 0.01;
/** The empty margin on each side of a whole run, as a fraction of its width. */
const margin = 0.01;

/**
 * The range that a window shows.
 * @param span first to last time of the run; undefined while it has none
 */
export function visibleRange(spec: WindowSpec, span: Range | undefined): Range {
  if (spec.kind === 'fixed') return spec;
  const { fromMs, toMs } = span ?? { fromMs: Date.now() - 60_000, toMs: Date.now() };
  if (spec.kind === 'last') return { fromMs: toMs - spec.seconds * 1_000, toMs };
  // A run with only one instant is shown as if it were a second long.
  const width = toMs - fromMs || 1_000;
  return { fromMs: fromMs - width * margin, toMs: toMs + width * margin };
}

/** Whether a window moves with new points. */
export const follows = (spec: WindowSpec): boolean => spec.kind !== 'fixed';

/** The range made wider (`factor` above 1) or narrower. The instant `aroundMs` stays where it is on the screen. */
export function zoomed({ fromMs, toMs }: Range, factor: number, aroundMs = (fromMs + toMs) / 2): Range {
  const width = Math.min(Math.max((toMs - fromMs) * factor, windowMsMin), 1e15);
  const place = (aroundMs - fromMs) / (toMs - fromMs);
  return { fromMs: aroundMs - width * place, toMs: aroundMs + width * (1 - place) };
}

/** The range moved by a fraction of its width; positive is later. */
export function panned({ fromMs, toMs }: Range, part: number): Range {
  const ms = (toMs - fromMs) * part;
  return { fromMs: fromMs + ms, toMs: toMs + ms };
}

/** The range with a fraction of its width added on each side. */
export const padded = ({ fromMs, toMs }: Range, part: number): Range => ({
  fromMs: fromMs - (toMs - fromMs) * part,
  toMs: toMs + (toMs - fromMs) * part,
});

export const covers = (outer: Range, inner: Range): boolean => outer.fromMs <= inner.fromMs && outer.toMs >= inner.toMs;

/** The smallest range that holds both. */
export function united(a: Range | undefined, b: Range): Range {
  if (a === undefined) return b;
  return { fromMs: Math.min(a.fromMs, b.fromMs), toMs: Math.max(a.toMs, b.toMs) };
}
