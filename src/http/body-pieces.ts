import { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/** Pieces up to this size are put together. */
const smallBytesMax = 1_024;
/** So many bytes of them are handed on at once. */
const togetherBytes = 16_384;

interface PieceListeners {
  onMany(socket: Socket): void;
  onPart(request: IncomingMessage, part: Buffer | null): void;
}

/**
 * A chunked body may come in pieces of one byte: 10,000 in one read of a connection, each with a Buffer and an event of its own. Small
 * ones are handed on together, when all connections have been read in this turn of the event loop. (`nextTick` would be too early:
 * Node goes through it after each piece.) Many of them end the reading of all connections for this turn.
 * @param told.onMany more than `piecesPerTurn` small pieces have come in this turn of the event loop, the last on this connection
 * @param told.onPart a piece of any size has come; null at the end
 * @returns what does so for a request
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
