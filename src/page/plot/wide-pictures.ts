import { type Series, withRange } from './series.ts';
import { covers, type Range } from './window.ts';

/** A stretch of a channel as it was read. */
export interface Stretch {
  series: Series;
  range: Range;
}

const widthOf = ({ range }: Stretch) => range.toMs - range.fromMs;

/**
 * Of each channel the widest picture that was read of it before. Where a window reaches beyond what is here for it, the rest is
 * drawn from the wide picture at once, until the answer comes that is finer.
 */
export class WidePictures {
  readonly #wide = new Map<string, Stretch>();
  /** What was joined last, so that a plot sees the same object as long as nothing is different. */
  readonly #joined = new Map<string, { wide: Series; here: Series; series: Series }>();

  /** Something else takes the place of what was here of a channel. */
  keep(channel: string, before: Stretch): void {
    const kept = this.#wide.get(channel);
    if (kept === undefined || widthOf(before) >= widthOf(kept)) this.#wide.set(channel, before);
  }

  /** A stretch of a channel is another one at the server: a picture with it is old. */
  changed(channel: string, span: Range): void {
    const kept = this.#wide.get(channel);
    if (kept === undefined || span.toMs < kept.range.fromMs || span.fromMs > kept.range.toMs) return;
    this.#wide.delete(channel);
    this.#joined.delete(channel);
  }

  /** What can be drawn of a window: what is here, and around it the wide picture. */
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
