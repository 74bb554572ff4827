/** Bytes gathered from pieces, in one buffer that grows by doubling and is used again after `clear`. */
export class GrowingBytes {
  #bytes = Buffer.alloc(0);
  #length = 0;

  clear(): void {
    this.#length = 0;
  }

  /** Makes room for so many bytes in all, so that they are never copied. */
  reserve(bytes: number): void {
    if (bytes > this.#bytes.length) this.#grow(bytes);
  }

  /** Keeps no more than so many bytes of room for the next use. */
  shrink(bytes: number): void {
    if (this.#bytes.length > bytes) this.#bytes = Buffer.alloc(0);
    this.#length = 0;
  }

  push(piece: Uint8Array): void {
    const length = this.#length + piece.length;
    if (length > this.#bytes.length) this.#grow(length * 2);
    this.#bytes.set(piece, this.#length);
    this.#length = length;
  }

  #grow(bytes: number): void {
    const grown = Buffer.allocUnsafeSlow(bytes);
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }

  /** What has been gathered; valid until the next `clear`. */
  view(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }
}
