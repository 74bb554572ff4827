import { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/** Bytes up to which a piece is small. Small pieces are joined. */
const smallBytesMax = 1_024;
/** Joined pieces are handed on once they have so many bytes. */
const togetherBytes = 16_384;

interface PieceListeners {
  /** More than `piecesPerTurn` small pieces have come in this turn of the event loop; the last came on this connection. */
  onMany(socket: Socket): void;
  /** A piece of any size has come; null at the end of the body. */
  onPart(request: IncomingMessage, part: Buffer | null): void;
}

/**
 * A chunked body may come in pieces of one byte: 10,000 in one read of a connection, each with a Buffer and an event of its own. So
 * small pieces are joined, and handed on after all connections have been read in this turn of the event loop. (`nextTick` would be
 * too early: Node runs its callbacks after each piece.)
 * @returns a function that does this for one request
 */
export function createPieceCollector(
  piecesPerTurn: number,
  { onMany, onPart }: PieceListeners,
): (request: IncomingMessage) => void {
  let pieces = 0;
  let waiting: (() => void)[] = [];

  function handOn(): void {
    pieces = 0;
    const flushes = waiting;
    waiting = [];
    for (const flush of flushes) flush();
  }

  function count(socket: Socket): void {
    if (pieces++ === 0) setImmediate(handOn);
    if (pieces > piecesPerTurn) onMany(socket);
  }

  return (request) => {
    if (request.headers['transfer-encoding'] === undefined) return;
    const push = (part: Buffer | null) => IncomingMessage.prototype.push.call(request, part);
    let small: Buffer[] = [];
    let bytes = 0;
    const flush = (): boolean => {
      if (small.length === 0 || request.destroyed) return true;
      const together = small.length === 1 ? (small[0] as Buffer) : Buffer.concat(small, bytes);
      small = [];
      bytes = 0;
      return push(together);
    };
    request.push = (part: Buffer | null) => {
      onPart(request, part);
      if (part === null || part.length > smallBytesMax) {
        flush();
        return push(part);
      }
      count(request.socket);
      if (small.push(part) === 1) waiting.push(flush);
      bytes += part.length;
      if (bytes >= togetherBytes) return flush();
      return request.readableLength < request.readableHighWaterMark;
    };
  };
}
