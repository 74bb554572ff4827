import type { WindowSpec } from '../url-state.ts';

/** A stretch of time in ms; `toMs` is above `fromMs`. */
export interface Range {
  fromMs: number;
  toMs: number;
}

/** A window is never narrower, so that its ends stay two different numbers: a float64 of Unix ms has steps of 0.0002. */
export const windowMsMin = 0.01;
/** Of the shown width, on each side of all that there is. */
const margin = 0.01;

/**
 * What a window shows of a run.
 * @param span all that the run holds; undefined while it holds nothing
 */
export function visibleRange(spec: WindowSpec, span: Range | undefined): Range {
  if (spec.kind === 'fixed') return spec;
  const { fromMs, toMs } = span ?? { fromMs: Date.now() - 60_000, toMs: Date.now() };
  if (spec.kind === 'last') return { fromMs: toMs - spec.seconds * 1_000, toMs };
  // A run of one instant is shown with a second around it.
  const width = toMs - fromMs || 1_000;
  return { fromMs: fromMs - width * margin, toMs: toMs + width * margin };
}

/** Whether a window moves with what arrives. */
export const follows = (spec: WindowSpec): boolean => spec.kind !== 'fixed';

/** Wider (`factor` above 1) or narrower, around an instant that stays where it is on the screen. */
export function zoomed({ fromMs, toMs }: Range, factor: number, aroundMs = (fromMs + toMs) / 2): Range {
  const width = Math.min(Math.max((toMs - fromMs) * factor, windowMsMin), 1e15);
  const place = (aroundMs - fromMs) / (toMs - fromMs);
  return { fromMs: aroundMs - width * place, toMs: aroundMs + width * (1 - place) };
}

/** Moved by a part of its width; above 0 is later. */
export function panned({ fromMs, toMs }: Range, part: number): Range {
  const ms = (toMs - fromMs) * part;
  return { fromMs: fromMs + ms, toMs: toMs + ms };
}

/** A wider range with so much of its width added on each side. */
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
