import { ascendingOrder } from '../lib/ascending-order.ts';
import type { ChunkPoints, Points } from './points.ts';
import type { Collapse } from './selection.ts';
import { msOf } from './time.ts';

/**
 * Gathers points of chunks by their exact seconds, and gives them out in order of time. Points that collapse come out as
 * one. After points were added, call `sort` before any are taken: it does nothing where they came in order. A point takes
 * 32 bytes, which are reused from batch to batch. Bounds are in ms for every collapse, like those of plans.
 */
export class PointBuffer {
  readonly #collapse: Collapse;
  #columns = columnsOf(0);
  /** The points from start up to end are held. Those before start have been taken. */
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

  /** Adds the points of a chunk whose ms is above `aboveMs` and at most `toMs`. Without values they are NaN. */
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

  /** Takes the points before a ms; undefined where there are none. The views are valid until points are added. */
  takeBefore(endMs: number): Points | undefined {
    if (this.length === 0 || this.#lowestMs >= endMs) return undefined;
    const from = this.#start;
    const to = this.#firstFrom(endMs);
    this.#start = to;
    const { times, values, seconds } = this.#columns;
    this.#lowestMs = this.length > 0 ? msOf(seconds[to] as number) : Number.POSITIVE_INFINITY;
    return { times: times.subarray(from, to), values: values.subarray(from, to) };
  }

  /** Keeps only the first `count` points, and all others of the same ms as the last of them. @returns that ms */
  keepFirst(count: number): number {
    const lastMs = msOf(this.#columns.seconds[this.#start + count - 1] as number);
    this.#end = this.#firstFrom(lastMs + 1);
    return lastMs;
  }

  /** Sorts what is held, and joins points that collapse. @param rest is awaited between two steps of work */
  async sort(rest: () => Promise<void>): Promise<void> {
    if (this.#inOrder) return;
    const { seconds, chunks } = mapColumns(this.#columns, (column) => column.subarray(this.#start, this.#end));
    const isAfter = (a: number, b: number) =>
      seconds[a] === seconds[b]
        ? (chunks[a] as number) > (chunks[b] as number)
        : (seconds[a] as number) > (seconds[b] as number);
    const order = await ascendingOrder(seconds.length, isAfter, rest);
    let end = this.#start;
    // One column after the other, so that only one is in memory twice.
    for (const name of columnNames) {
      const column = this.#columns[name];
      const held = column.slice(this.#start, this.#end);
      for (let i = 0; i < order.length; i++) column[this.#start + i] = held[order[i] as number] as number;
      await rest();
    }
    const kept = this.#columns;
    for (let i = this.#start; i < this.#end; i++) {
      if (end > this.#start && kept.times[end - 1] === kept.times[i]) end--;
      for (const name of columnNames) kept[name][end] = kept[name][i] as number;
      end++;
    }
    this.#end = end;
    this.#inOrder = true;
  }

  /** Position of the first point that is not before a ms. */
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

  /** Moves what is held to the front, and allocates more where that is not enough. */
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

/** Of each point: its exact seconds, the time that they collapse to, the index of its chunk, and its reading. */
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
