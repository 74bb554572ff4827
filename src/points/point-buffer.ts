import type { ChunkPoints, Points } from './points.ts';
import type { Collapse } from './selection.ts';
import { msOf } from './time.ts';

/**
 * Gathers points of chunks, keyed by their exact seconds, and gives them out in order of time, those that collapse as one.
 * Chunks that arrive in order are passed straight through; the first point out of order makes it sort, once, when points
 * are taken. 32 bytes a point, reused from batch to batch. Bounds are in ms whatever collapses, as those of plans are.
 */
export class PointBuffer {
  readonly #collapse: Collapse;
  #columns = columnsOf(0);
  /** Points from start up to end are held; those before start have been taken. */
  #start = 0;
  #end = 0;
  #inOrder = true;
  #lowestMs = Number.POSITIVE_INFINITY;

  constructor(collapse: Collapse) {
    this.#collapse = collapse;
  }

  get length(): number {
    return this.#end - this.#start;
  }

  /** Adds the points of a chunk whose ms is above one bound and not above another. Without values they are NaN. */
  add({ chunkIndex, times, values }: ChunkPoints, aboveMs: number, toMs: number): void {
    this.#makeRoom(times.length);
    const collapse = this.#collapse;
    const kept = this.#columns;
    let end = this.#end;
    let inOrder = this.#inOrder;
    for (let i = 0; i < times.length; i++) {
      const seconds = times[i] as number;
      const ms = msOf(seconds);
      // An absent time is NaN and fails both comparisons.
      if (!(ms > aboveMs && ms <= toMs)) continue;
      const time = collapse(seconds);
      if (inOrder && end > this.#start) {
        const last = kept.seconds[end - 1] as number;
        inOrder = seconds > last || (seconds === last && chunkIndex >= (kept.chunks[end - 1] as number));
        if (inOrder && time === kept.times[end - 1]) end--;
      }
      kept.seconds[end] = seconds;
      kept.times[end] = time;
      kept.chunks[end] = chunkIndex;
      kept.values[end++] = values[i] as number;
      if (ms < this.#lowestMs) this.#lowestMs = ms;
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
    const { times, values, seconds } = this.#columns;
    this.#lowestMs = this.length > 0 ? msOf(seconds[to] as number) : Number.POSITIVE_INFINITY;
    return { times: times.subarray(from, to), values: values.subarray(from, to) };
  }

  /** How many points are held once those that collapse are one. */
  settledLength(): number {
    this.#settle();
    return this.length;
  }

  /** Keeps only so many of the first points, and all others of the same ms; returns the ms of the last one kept. */
  keepFirst(count: number): number {
    this.#settle();
    const lastMs = msOf(this.#columns.seconds[this.#start + count - 1] as number);
    this.#end = this.#firstFrom(lastMs + 1);
    return lastMs;
  }

  #settle(): void {
    if (this.#inOrder) return;
    const kept = this.#columns;
    const held = mapColumns(kept, (column) => column.slice(this.#start, this.#end));
    const { seconds, chunks } = held;
    const order = Uint32Array.from(seconds, (_, i) => i);
    order.sort(
      (a, b) =>
        (seconds[a] as number) - (seconds[b] as number) || (chunks[a] as number) - (chunks[b] as number) || a - b,
    );
    let end = this.#start;
    for (const i of order) {
      if (end > this.#start && kept.times[end - 1] === held.times[i]) end--;
      kept.seconds[end] = seconds[i] as number;
      kept.times[end] = held.times[i] as number;
      kept.chunks[end] = chunks[i] as number;
      kept.values[end++] = held.values[i] as number;
    }
    this.#end = end;
    this.#inOrder = true;
  }

  /** Position of the first point at an ms or after it. */
  #firstFrom(endMs: number): number {
    const { seconds } = this.#columns;
    let low = this.#start;
    let high = this.#end;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (msOf(seconds[middle] as number) < endMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Moves what is held to the front, and grows when that does not make enough room. */
  #makeRoom(count: number): void {
    const held = this.length;
    const room = this.#columns.seconds.length;
    if (this.#end + count <= room) return;
    const grown = held + count <= room ? undefined : columnsOf(held + Math.max(count, held));
    for (const name of columnNames) {
      (grown ?? this.#columns)[name].set(this.#columns[name].subarray(this.#start, this.#end));
    }
    this.#columns = grown ?? this.#columns;
    this.#start = 0;
    this.#end = held;
  }
}

/** Of each point its exact seconds, what they collapse to, the index of its chunk and its reading. */
const columnNames = ['seconds', 'times', 'chunks', 'values'] as const;
type Columns = Record<(typeof columnNames)[number], Float64Array>;

const columnsOf = (length: number): Columns => ({
  seconds: new Float64Array(length),
  times: new Float64Array(length),
  chunks: new Float64Array(length),
  values: new Float64Array(length),
});

const mapColumns = ({ seconds, times, chunks, values }: Columns, map: (column: Float64Array) => Float64Array) => ({
  seconds: map(seconds),
  times: map(times),
  chunks: map(chunks),
  values: map(values),
});
