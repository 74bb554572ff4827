import { type Series, withRange } from './series.ts';
import { covers, type Range } from './window.ts';

/** A range of a channel as it was read. */
export interface Stretch {
  series: Series;
  range: Range;
}

const widthOf = ({ range }: Stretch) => range.toMs - range.fromMs;

/**
 * Keeps the widest series that was read of each channel before. When a window reaches beyond the current series, the rest
 * is drawn at once from the wide one, until the finer answer comes.
 */
export class WidePictures {
  readonly #wide = new Map<string, Stretch>();
  /** The last merged series, so that a plot gets the same object as long as nothing has changed. */
  readonly #joined = new Map<string, { wide: Series; here: Series; series: Series }>();

  /** To be called with the series of a channel that is about to be replaced. */
  keep(channel: string, before: Stretch): void {
    const kept = this.#wide.get(channel);
    if (kept === undefined || widthOf(before) >= widthOf(kept)) this.#wide.set(channel, before);
  }

  /** Drops the wide series of a channel if it covers a range that has changed at the server. */
  changed(channel: string, span: Range): void {
    const kept = this.#wide.get(channel);
    if (kept === undefined || span.toMs < kept.range.fromMs || span.fromMs > kept.range.toMs) return;
    this.#wide.delete(channel);
    this.#joined.delete(channel);
  }

  /** What can be drawn of a window: the current series, and around it the wide one. */
  around(channel: string, here: Stretch, window: Range): Series {
    const wide = this.#wide.get(channel)?.series;
    if (wide === undefined || covers(here.range, window)) return here.series;
    const before = this.#joined.get(channel);
    if (before?.wide === wide && before.here === here.series) return before.series;
    const series = withRange(wide, here.range, here.series);
    this.#joined.set(channel, { wide, here: here.series, series });
    return series;
  }
}
