/** Gathers pieces of bytes in one buffer. The buffer grows by doubling and is reused after `clear`. */
export class GrowingBytes {
  #bytes = Buffer.alloc(0);
  #length = 0;

  clear(): void {
    this.#length = 0;
  }

  /** Makes the buffer large enough for so many bytes in all, so that pushing them never copies it. */
  reserve(bytes: number): void {
    if (bytes > this.#bytes.length) this.#grow(bytes);
  }

  /** Clears, and frees the buffer when it is larger than so many bytes. */
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

  /** The bytes gathered so far, without a copy; valid until the next `clear`. */
  view(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }
}
