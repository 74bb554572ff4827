import { GrowingFloats } from '../lib/growing-floats.ts';

/** The ways in which a chunk can be irregular, as bits. */
export const irregularities = {
  long: 1,
  short: 2,
  not_ascending: 4,
  overlapping: 8,
  time_jump: 16,
  times_in_ms: 32,
  times_in_us: 64,
  times_in_ns: 128,
  implausible_times: 256,
} as const;

/** Numbers that `IrregularRuns` stores for each run. */
export const numbersPerRun = 5;

/**
 * Lists irregular chunks. Stored chunks that follow each other and are irregular in the same ways are one run. All chunks
 * are added in order of their index, regular ones too; then `finish` is called.
 */
export class IrregularRuns {
  /** Of each run: first and last index, number of chunks, number of points, and the sum of its `irregularities`. */
  readonly list = new GrowingFloats();
  chunkCount = 0;
  #open: { first: number; last: number; chunks: number; points: number; kinds: number } | undefined;

  add(chunkIndex: number, pointCount: number, kinds: number): void {
    if (kinds !== 0) this.chunkCount++;
    if (this.#open !== undefined && this.#open.kinds === kinds) {
      this.#open.last = chunkIndex;
      this.#open.chunks++;
      this.#open.points += pointCount;
      return;
    }
    this.finish();
    if (kinds !== 0) this.#open = { first: chunkIndex, last: chunkIndex, chunks: 1, points: pointCount, kinds };
  }

  finish(): void {
    if (this.#open === undefined) return;
    const { first, last, chunks, points, kinds } = this.#open;
    for (const number of [first, last, chunks, points, kinds]) this.list.push(number);
    this.#open = undefined;
  }
}
