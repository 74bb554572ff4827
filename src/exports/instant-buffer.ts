import type { ChunkArrays } from '../timeseries/store.ts';
import { msOf } from '../timeseries/time.ts';

/** Points in order of their exact time, Unix seconds, one per time. Both arrays are views of the buffer. */
export interface Instants {
  times: Float64Array;
  /** NaN where the reading is absent. */
  values: Float64Array;
}

/**
 * Gathers points of chunks and gives them out in order of time, one per time: the last in the order of chunk index and
 * position. Points that arrive in order are kept as they come; the first one out of order makes it sort, once.
 */
export class InstantBuffer {
  #times = new Float64Array(1_024);
  #chunks = new Float64Array(1_024);
  #values = new Float64Array(1_024);
  #length = 0;
  #inOrder = true;

  get length(): number {
    return this.#length;
  }

  /** Adds the points of a chunk whose ms is at least one bound and below another. */
  add({ chunkIndex, timestamps, values }: ChunkArrays, fromMs: number, toMs: number): void {
    this.#reserve(timestamps.length);
    const [times, chunks, kept] = [this.#times, this.#chunks, this.#values];
    for (let i = 0; i < timestamps.length; i++) {
      const time = timestamps[i] as number;
      const ms = msOf(time);
      // An absent time is NaN and fails both comparisons.
      if (!(ms >= fromMs && ms < toMs)) continue;
      let at = this.#length;
      if (this.#inOrder && at > 0) {
        const last = times[at - 1] as number;
        this.#inOrder = time > last || (time === last && chunkIndex >= (chunks[at - 1] as number));
        if (this.#inOrder && time === last) at--;
      }
      times[at] = time;
      chunks[at] = chunkIndex;
      kept[at] = values[i] as number;
      this.#length = at + 1;
    }
  }

  /**
   * Keeps about the first `count` points, and all others of the same ms.
   * @returns the ms from which on points have been let go; `toMs` where none were
   */
  cutTo(count: number, toMs: number): number {
    this.#settle();
    if (this.#length <= count) return toMs;
    const endMs = Math.max(msOf(this.#times[count] as number), msOf(this.#times[0] as number) + 1);
    let end = this.#length;
    while (end > 0 && msOf(this.#times[end - 1] as number) >= endMs) end--;
    this.#length = end;
    return endMs;
  }

  /** Takes everything; valid until points are added. */
  take(): Instants {
    this.#settle();
    const length = this.#length;
    this.#length = 0;
    return { times: this.#times.subarray(0, length), values: this.#values.subarray(0, length) };
  }

  #settle(): void {
    if (this.#inOrder) return;
    const [times, chunks, values] = [this.#times, this.#chunks, this.#values].map((column) =>
      column.slice(0, this.#length),
    ) as [Float64Array, Float64Array, Float64Array];
    const order = Uint32Array.from(times, (_, i) => i);
    order.sort(
      (a, b) => (times[a] as number) - (times[b] as number) || (chunks[a] as number) - (chunks[b] as number) || a - b,
    );
    let end = 0;
    for (const i of order) {
      if (end > 0 && this.#times[end - 1] === times[i]) end--;
      this.#times[end] = times[i] as number;
      this.#chunks[end] = chunks[i] as number;
      this.#values[end++] = values[i] as number;
    }
    this.#length = end;
    this.#inOrder = true;
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#times.length) return;
    const grown = (column: Float64Array) => {
      const target = new Float64Array(needed * 2);
      target.set(column.subarray(0, this.#length));
      return target;
    };
    this.#times = grown(this.#times);
    this.#chunks = grown(this.#chunks);
    this.#values = grown(this.#values);
  }
}
