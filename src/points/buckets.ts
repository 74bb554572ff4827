import type { Points } from './points.ts';
import type { MsRange } from './time.ts';

/** Parts of a range of ms, of at least two ms each. */
export interface Grid extends MsRange {
  /** Where each part begins, in order; it ends before the next one begins, and the last one with the range. */
  starts: Float64Array;
}

/**
 * The bucket of an ms; one outside of the range belongs to the first or the last.
 * @param near is looked at first: points in order of time are mostly in the bucket of the point before, or in the next
 */
export function bucketOf({ starts }: Grid, ms: number, near = 0): number {
  // A bucket that does not exist has no start, and every comparison with that fails.
  for (let bucket = near; bucket <= near + 1; bucket++) {
    if (ms >= (starts[bucket] as number) && !(ms >= (starts[bucket + 1] as number))) return bucket;
  }
  let low = 0;
  let high = starts.length;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (ms >= (starts[middle] as number)) low = middle;
    else high = middle;
  }
  return low;
}

/** What is kept of a bucket: its extreme values with their ms, and when it had an absent reading; NaN for nothing. */
const fields = 5;
const [minValue, minMs, maxValue, maxMs, absentMs] = [0, 1, 2, 3, 4];

type Reading = [ms: number, value: number];

/**
 * Keeps the smallest and the largest value of each bucket while points come in any order, and gives them out in order of
 * time. Memory is that of the buckets between the first that has not been taken and the last that has been touched.
 */
export class Buckets {
  readonly #grid: Grid;
  #cells = new Float64Array(16 * fields).fill(Number.NaN);
  /** The bucket of the first cell; those before have been taken. */
  #first = 0;
  /** Cells from the first on that may hold something. */
  #touched = 0;
  /** The bucket of the last reading. */
  #near = 0;

  constructor(grid: Grid) {
    this.#grid = grid;
  }

  /** Adds a reading, NaN for an absent one. Its bucket must not have been taken; otherwise it is too late and left out. */
  add(ms: number, value: number): void {
    this.#near = bucketOf(this.#grid, ms, this.#near);
    const position = this.#near - this.#first;
    if (position < 0) return;
    if (position >= this.#touched) this.#reach(position);
    const cells = this.#cells;
    const at = position * fields;
    if (Number.isNaN(value)) {
      if (!((cells[at + absentMs] as number) <= ms)) cells[at + absentMs] = ms;
      return;
    }
    // Of equal values the earliest is the smallest and the latest the largest, so that a level line is shown in its
    // whole length. An empty cell is NaN and fails every comparison.
    const least = cells[at + minValue] as number;
    if (!(least <= value) || (least === value && ms < (cells[at + minMs] as number))) {
      cells[at + minValue] = value;
      cells[at + minMs] = ms;
    }
    const greatest = cells[at + maxValue] as number;
    if (!(greatest >= value) || (greatest === value && ms > (cells[at + maxMs] as number))) {
      cells[at + maxValue] = value;
      cells[at + maxMs] = ms;
    }
  }

  /** The points of the buckets before one: two of each where they differ, one null where all readings are absent. */
  takeBefore(bucket: number): Points {
    const count = Math.max(0, Math.min(bucket - this.#first, this.#touched));
    const points = { times: new Float64Array(count * 2), values: new Float64Array(count * 2) };
    let length = 0;
    for (let position = 0; position < count; position++) {
      for (const [at, value] of this.#pointsOf(position)) {
        points.times[length] = at;
        points.values[length++] = value;
      }
    }
    this.#cells.copyWithin(0, count * fields, this.#touched * fields);
    this.#cells.fill(Number.NaN, (this.#touched - count) * fields, this.#touched * fields);
    this.#touched -= count;
    this.#first = Math.max(this.#first, bucket);
    return { times: points.times.subarray(0, length), values: points.values.subarray(0, length) };
  }

  #pointsOf(position: number): Reading[] {
    const cell = (field: number) => this.#cells[position * fields + field] as number;
    const least: Reading = [cell(minMs), cell(minValue)];
    const greatest: Reading = [cell(maxMs), cell(maxValue)];
    if (Number.isNaN(least[1])) return Number.isNaN(cell(absentMs)) ? [] : [[cell(absentMs), Number.NaN]];
    if (least[0] !== greatest[0]) return least[0] < greatest[0] ? [least, greatest] : [greatest, least];
    if (least[1] === greatest[1]) return [least];
    // Both fell into one ms, and an answer has one point per ms: one of them goes into the ms beside it.
    const { toMs, starts } = this.#grid;
    const lastMs = Math.min(toMs, (starts[this.#first + position + 1] ?? Number.POSITIVE_INFINITY) - 1);
    const ms = Math.min(least[0], lastMs - 1);
    return [
      [ms, least[1]],
      [ms + 1, greatest[1]],
    ];
  }

  #reach(position: number): void {
    this.#touched = position + 1;
    const needed = this.#touched * fields;
    if (needed <= this.#cells.length) return;
    const grown = new Float64Array(needed * 2).fill(Number.NaN);
    grown.set(this.#cells);
    this.#cells = grown;
  }
}
