import { IncomingMessage } from 'node:http';

/** Pieces up to this size are put together. */
const smallBytesMax = 1_024;
/** So many bytes of them are handed on at once. */
const togetherBytes = 16_384;

/**
 * A request that counts what comes of it; Node makes one for each.
 *
 * A chunked body may come in pieces of one byte: 10,000 in one read of a connection, each with a Buffer and an event of its own. Small
 * ones are handed on together by `handOn`, at the end of their read. (Node goes through `nextTick` after each piece.)
 */
export class CountedRequest extends IncomingMessage {
  /** Bytes of the body that have come. */
  bodyBytes = 0;
  /** Bytes of the request line and the headers, as far as it is known what stood between them. */
  headBytes = 0;
  /** Called when a part of the body comes. */
  onPart: (() => void) | undefined;
  /** Pieces that have not been handed on; most requests have none. */
  private small: Buffer[] | undefined;
  private smallBytes = 0;

  override push(part: Buffer | null): boolean {
    if (part !== null) {
      this.bodyBytes += part.length;
      this.onPart?.();
    }
    if (this.headers['transfer-encoding'] === undefined) return super.push(part);
    if (part === null || part.length > smallBytesMax) {
      this.handOn();
      return super.push(part);
    }
    this.small ??= [];
    this.small.push(part);
    this.smallBytes += part.length;
    if (this.smallBytes >= togetherBytes) return this.handOn();
    return this.readableLength < this.readableHighWaterMark;
  }

  /** Hands on what has been collected. @returns whether more is wanted */
  handOn(): boolean {
    const { small, smallBytes: bytes } = this;
    if (small === undefined || this.destroyed) return true;
    this.small = undefined;
    this.smallBytes = 0;
    return super.push(small.length === 1 ? small[0] : Buffer.concat(small, bytes));
  }
}

/** @returns the bytes of a head of which only its parts are known, each with what usually stands around it */
export function headBytesOf({ method = '', url = '', rawHeaders }: IncomingMessage): number {
  let bytes = method.length + url.length + ' '.length + ' HTTP/1.1\r\n\r\n'.length + 2 * rawHeaders.length;
  for (const part of rawHeaders) bytes += part.length;
  return bytes;
}
