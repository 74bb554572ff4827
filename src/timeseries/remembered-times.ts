/**
 * Remembers ascending ms in one or two bytes each, as differences in base 128. When a time has a fraction, or the bytes
 * would exceed the bound, it drops the times (`isComplete` is false), and keeps only their count and a checksum. Made for
 * answers that write the times of a channel after its values.
 */
export class RememberedTimes {
  count = 0;
  #checksum = 0;
  #firstMs = 0;
  #lastMs = 0;
  #blocks: Uint8Array[] = [];
  /** Bytes used of the last block. */
  #used = blockBytes;
  #isComplete = true;
  readonly #blocksMax: number;

  constructor(bytesMax: number) {
    this.#blocksMax = Math.floor(bytesMax / blockBytes);
  }

  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Adds ms that ascend and are not before the last one. */
  add(times: Float64Array): void {
    for (let i = 0; i < times.length; i++) {
      const ms = times[i] as number;
      if (this.count + i === 0) this.#firstMs = this.#lastMs = ms;
      // Two fractions may have a whole difference, so the time itself is tested.
      if (this.#isComplete) this.#write(Number.isInteger(ms) ? ms - this.#lastMs : Number.NaN);
      this.#checksum = (Math.imul(this.#checksum, 31) + (ms % 0x7fffffff)) | 0;
      this.#lastMs = ms;
    }
    this.count += times.length;
  }

  /** Whether another sequence of times is the same, as far as count and checksum show. */
  equals(other: RememberedTimes): boolean {
    return this.count === other.count && this.#checksum === other.#checksum;
  }

  /** Gives the ms again, in batches that are valid until the next one is asked for. Only while `isComplete`. */
  *batches(): Generator<Float64Array, void, void> {
    const batch = new Float64Array(batchLength);
    let [block, at, ms, filled] = [0, 0, this.#firstMs, 0];
    for (let i = 0; i < this.count; i++) {
      if (at > blockBytes - differenceBytesMax) [block, at] = [block + 1, 0];
      const bytes = this.#blocks[block] as Uint8Array;
      let byte = bytes[at++] as number;
      let difference = byte & 127;
      for (let weight = 128; byte > 127; weight *= 128) {
        byte = bytes[at++] as number;
        difference += (byte & 127) * weight;
      }
      ms += difference;
      batch[filled++] = ms;
      if (filled === batchLength || i === this.count - 1) {
        yield batch.subarray(0, filled);
        filled = 0;
      }
    }
  }

  #write(difference: number): void {
    const isBlockFull = this.#used > blockBytes - differenceBytesMax;
    if (
      !Number.isInteger(difference) ||
      difference > Number.MAX_SAFE_INTEGER ||
      (isBlockFull && this.#blocks.length === this.#blocksMax)
    ) {
      this.#isComplete = false;
      this.#blocks = [];
      return;
    }
    if (isBlockFull) {
      this.#blocks.push(new Uint8Array(blockBytes));
      this.#used = 0;
    }
    const bytes = this.#blocks[this.#blocks.length - 1] as Uint8Array;
    let rest = difference;
    while (rest > 127) {
      const higher = Math.floor(rest / 128);
      bytes[this.#used++] = 128 + rest - higher * 128;
      rest = higher;
    }
    bytes[this.#used++] = rest;
  }
}

const blockBytes = 256 * 1024;
/** Bytes of a difference below 2^53 at most. */
const differenceBytesMax = 8;
const batchLength = 8_192;
