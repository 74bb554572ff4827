/** A Float64Array that grows by doubling, for when the count of numbers is not known in advance. */
export class GrowingFloats {
  #numbers: Float64Array;
  #length = 0;

  constructor(capacity = 16) {
    this.#numbers = new Float64Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    if (this.#length === this.#numbers.length) {
      const grown = new Float64Array(this.#length * 2);
      grown.set(this.#numbers);
      this.#numbers = grown;
    }
    this.#numbers[this.#length++] = value;
  }

  /** The numbers so far; valid until the next push. */
  view(): Float64Array {
    return this.#numbers.subarray(0, this.#length);
  }
}
