import { GrowingFloats } from '../lib/growing-floats.ts';
import { type HabitLimits, isMissing } from '../lib/habits.ts';

/**
 * The indexes below the highest one that hold no chunk; and which of these are missing, and not left out regularly. Indexes
 * are added in order; then `finish` is called.
 */
export class Holes {
  highestIndex = -1;
  /** First and last index of each hole. */
  readonly all = new GrowingFloats();
  /** First and last index of each hole whose chunks are missing. */
  readonly missing = new GrowingFloats();
  missingCount = 0;
  skippedCount = 0;
  readonly #limits: HabitLimits;

  constructor(limits: HabitLimits) {
    this.#limits = limits;
  }

  add(chunkIndex: number): void {
    const expected = this.highestIndex + 1;
    if (chunkIndex > expected) {
      this.all.push(expected);
      this.all.push(chunkIndex - 1);
    }
    this.highestIndex = chunkIndex;
  }

  finish(): void {
    for (let hole = 0; hole < this.#count; hole++) {
      const beside = [this.#stepsBefore(hole), this.#stepsAfter(hole)].flatMap((steps) => this.#nearest(steps));
      const count = this.#stepOf(hole) - 1;
      if (isMissing(count + 1, beside, this.#limits)) {
        this.missing.push(this.#firstOf(hole));
        this.missing.push(this.#lastOf(hole));
        this.missingCount += count;
      } else this.skippedCount += count;
    }
  }

  get #count(): number {
    return this.all.length / 2;
  }

  #firstOf = (hole: number): number => this.all.view()[2 * hole] as number;
  #lastOf = (hole: number): number => this.all.view()[2 * hole + 1] as number;
  /** The difference of the indexes of the chunks on both sides of a hole. */
  #stepOf = (hole: number): number => this.#lastOf(hole) - this.#firstOf(hole) + 2;

  /**
   * How many chunks are stored directly before a hole, up to the hole before it. The number of holes stands for the end of
   * the channel.
   */
  #chunksBefore(hole: number): number {
    const beyond = hole === this.#count ? this.highestIndex + 1 : this.#firstOf(hole);
    return hole === 0 ? beyond : beyond - this.#lastOf(hole - 1) - 1;
  }

  #nearest(steps: Generator<number, void, void>): number[] {
    const nearest: number[] = [];
    for (const step of steps) if (nearest.push(step) === this.#limits.besideStepsMax) break;
    return nearest;
  }

  *#stepsAfter(hole: number): Generator<number, void, void> {
    for (let next = hole + 1; next <= this.#count; next++) {
      for (let chunks = this.#chunksBefore(next); chunks > 1; chunks--) yield 1;
      if (next < this.#count) yield this.#stepOf(next);
    }
  }

  /** The indexes before the first chunk are a hole, but there is no step over it. */
  *#stepsBefore(hole: number): Generator<number, void, void> {
    for (let next = hole; next >= 0; next--) {
      for (let chunks = this.#chunksBefore(next); chunks > 1; chunks--) yield 1;
      if (next > 0 && this.#firstOf(next - 1) > 0) yield this.#stepOf(next - 1);
    }
  }
}
