import { msOf } from './time.ts';

/** Points in order of time, one per ms. Both arrays are views that are valid until the next batch is asked for. */
export interface Points {
  ms: Float64Array;
  /** NaN where the reading is absent; empty where only times were asked for. */
  values: Float64Array;
}

type Column = Float64Array<ArrayBuffer>;

/**
 * Gathers points of chunks and gives them out in order of ms, one per ms: the last in the order of (time, chunk index,
 * position). Chunks that arrive in order are passed straight through; the first point out of order makes it sort, once,
 * when points are taken. 32 bytes a point, reused from batch to batch.
 */
export class PointBuffer {
  #ms = new Float64Array(0);
  #times = new Float64Array(0);
  #chunks = new Float64Array(0);
  #values = new Float64Array(0);
  /** Points from start up to end are held; those before start have been taken. */
  #start = 0;
  #end = 0;
  #inOrder = true;
  #lowestMs = Number.POSITIVE_INFINITY;

  get length(): number {
    return this.#end - this.#start;
  }

  /** Adds the points of a chunk whose ms is above one bound and not above another. Without values they are NaN. */
  add(chunkIndex: number, timestamps: Float64Array, values: Float64Array, aboveMs: number, toMs: number): void {
    this.#makeRoom(timestamps.length);
    const [ms, times, chunks, kept] = [this.#ms, this.#times, this.#chunks, this.#values];
    let end = this.#end;
    let inOrder = this.#inOrder;
    for (let i = 0; i < timestamps.length; i++) {
      const time = timestamps[i] as number;
      const at = msOf(time);
      // An absent time is NaN and fails both comparisons.
      if (!(at > aboveMs && at <= toMs)) continue;
      if (inOrder && end > this.#start) {
        const lastTime = times[end - 1] as number;
        inOrder = time > lastTime || (time === lastTime && chunkIndex >= (chunks[end - 1] as number));
        if (inOrder && at === ms[end - 1]) end--;
      }
      ms[end] = at;
      times[end] = time;
      chunks[end] = chunkIndex;
      kept[end++] = values[i] as number;
      if (at < this.#lowestMs) this.#lowestMs = at;
    }
    this.#end = end;
    this.#inOrder = inOrder;
  }

  /** Takes the points before an ms; undefined when there are none. The views are valid until points are added. */
  takeBefore(endMs: number): Points | undefined {
    if (this.length === 0 || this.#lowestMs >= endMs) return undefined;
    this.#settle();
    const from = this.#start;
    const to = this.#firstFrom(endMs);
    this.#start = to;
    this.#lowestMs = this.length > 0 ? (this.#ms[to] as number) : Number.POSITIVE_INFINITY;
    return { ms: this.#ms.subarray(from, to), values: this.#values.subarray(from, to) };
  }

  /** How many points are held once those of the same ms are one. */
  settledLength(): number {
    this.#settle();
    return this.length;
  }

  /** Keeps only the first points, of which there must be that many; returns the ms of the last one kept. */
  keepFirst(count: number): number {
    this.#settle();
    this.#end = this.#start + count;
    return this.#ms[this.#end - 1] as number;
  }

  #settle(): void {
    if (this.#inOrder) return;
    const [ms, times, chunks, values] = [this.#ms, this.#times, this.#chunks, this.#values].map((column) =>
      column.slice(this.#start, this.#end),
    ) as [Float64Array, Float64Array, Float64Array, Float64Array];
    const order = Uint32Array.from(ms, (_, i) => i);
    order.sort(
      (a, b) => (times[a] as number) - (times[b] as number) || (chunks[a] as number) - (chunks[b] as number) || a - b,
    );
    let end = this.#start;
    for (const i of order) {
      if (end > this.#start && this.#ms[end - 1] === ms[i]) end--;
      this.#ms[end] = ms[i] as number;
      this.#times[end] = times[i] as number;
      this.#chunks[end] = chunks[i] as number;
      this.#values[end++] = values[i] as number;
    }
    this.#end = end;
    this.#inOrder = true;
  }

  /** Index of the first point at an ms or after it. */
  #firstFrom(endMs: number): number {
    let low = this.#start;
    let high = this.#end;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ms[middle] as number) < endMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Moves what is held to the front, and grows when that does not make enough room. */
  #makeRoom(count: number): void {
    const held = this.length;
    if (this.#end + count <= this.#ms.length) return;
    const capacity = held + count <= this.#ms.length ? this.#ms.length : held + Math.max(count, held);
    const moved = (column: Column) => {
      const target: Column = capacity === column.length ? column : new Float64Array(capacity);
      target.set(column.subarray(this.#start, this.#end));
      return target;
    };
    this.#ms = moved(this.#ms);
    this.#times = moved(this.#times);
    this.#chunks = moved(this.#chunks);
    this.#values = moved(this.#values);
    this.#start = 0;
    this.#end = held;
  }
}
