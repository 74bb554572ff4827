/** Bytes gathered from pieces, in one buffer that grows by doubling and is used again after `clear`. */
export class GrowingBytes {
  #bytes = Buffer.alloc(0);
  #length = 0;

  clear(): void {
    this.#length = 0;
  }

  push(piece: Uint8Array): void {
    const length = this.#length + piece.length;
    if (length > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(length * 2);
      this.#bytes.copy(grown, 0, 0, this.#length);
      this.#bytes = grown;
    }
    this.#bytes.set(piece, this.#length);
    this.#length = length;
  }

  /** What has been gathered; valid until the next `clear`. */
  view(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }
}
