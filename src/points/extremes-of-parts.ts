import type { Points } from './points.ts';

/** Collects the extremes of parts, one part after the other. Times are in ms, whole or with fractions. */
export class ExtremesOfParts {
  readonly #times: Float64Array;
  readonly #values: Float64Array;
  #length = 0;
  /** Of the current part. NaN as long as it has no reading. */
  #least = Number.NaN;
  #leastMs = Number.NaN;
  #greatest = Number.NaN;
  #greatestMs = Number.NaN;
  #absentMs = Number.NaN;

  constructor(partCount: number) {
    this.#times = new Float64Array(2 * partCount);
    this.#values = new Float64Array(2 * partCount);
  }

  begin(): void {
    if (Number.isNaN(this.#least)) {
      // All readings are absent, or there are no points.
      if (!Number.isNaN(this.#absentMs)) this.#push(this.#absentMs, Number.NaN);
    } else if (this.#leastMs < this.#greatestMs) {
      this.#push(this.#leastMs, this.#least);
      this.#push(this.#greatestMs, this.#greatest);
    } else {
      this.#push(this.#greatestMs, this.#greatest);
      if (this.#leastMs !== this.#greatestMs || this.#least !== this.#greatest) this.#push(this.#leastMs, this.#least);
    }
    this.#least = this.#greatest = this.#absentMs = Number.NaN;
  }

  /**
   * Adds a reading, NaN for an absent one. Of equal values the earliest is the smallest and the latest is the largest, so
   * that a level line is shown in its whole length.
   */
  add(ms: number, value: number): void {
    // Fast path: nearly all points of a long part end here.
    if (value > this.#least && value < this.#greatest) return;
    if (Number.isNaN(value)) {
      if (!(this.#absentMs <= ms)) this.#absentMs = ms;
      return;
    }
    // NaN fails every comparison.
    if (!(this.#least <= value) || (this.#least === value && ms < this.#leastMs)) {
      this.#least = value;
      this.#leastMs = ms;
    }
    if (!(this.#greatest >= value) || (this.#greatest === value && ms > this.#greatestMs)) {
      this.#greatest = value;
      this.#greatestMs = ms;
    }
  }

  finish(): Points {
    this.begin();
    return { times: this.#times.subarray(0, this.#length), values: this.#values.subarray(0, this.#length) };
  }

  #push(ms: number, value: number): void {
    this.#times[this.#length] = ms;
    this.#values[this.#length++] = value;
  }
}
