import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { createHeadsRoom, type HeadsConnection, type HeadsLimits } from './heads-room.ts';

/** What is known of the reads of a connection. */
export interface HeadsOfConnection extends HeadsConnection {
  /** Bytes of all reads that have been looked at. */
  bytesRead: number;
  /** Bytes of heads and trailers that have become complete since. */
  wholeBytes: number;
  /** Bytes of pieces of bodies that have come since, with what stands around them. */
  pieceBytes: number;
  /** Bytes that bodies with a length have still to bring. */
  bodyBytes: number;
  /** Bytes of a head or of trailers that are not complete, as far as can be known. */
  unfinishedBytes: number;
  /** Bytes of the heads of requests that are served or wait. */
  requestsBytes: number;
}

export const noHeads = () => ({
  ...{ bytesRead: 0, wholeBytes: 0, pieceBytes: 0, bodyBytes: 0, unfinishedBytes: 0, requestsBytes: 0 },
  held: undefined,
});

/** Counts the heads that connections hold, and tells of reads that were long to parse. */
export interface ConnectionHeads<Connection> {
  /** The head of a request is complete, whether it will be served or not. */
  headHasCome(request: IncomingMessage): void;
  /** A part of a chunked body has come; null at its end. */
  partHasCome(request: IncomingMessage, part: Buffer | null): void;
  /** Node has parsed a read of a connection. May be called where nothing was read. */
  readHasCome(socket: Socket): void;
  /** What comes on a connection from now on is thrown away and not counted, after an error. */
  fail(socket: Socket): void;
  /** A request is no longer held. @param isLast no other is */
  leave(connection: Connection, request: IncomingMessage, isLast: boolean): void;
  /** The connection has another owner. */
  own(connection: Connection): void;
  /** It is closed. */
  forget(connection: Connection): void;
}

interface Options<Connection> {
  limits: HeadsLimits;
  connections: ReadonlyMap<Socket, Connection>;
  /** Milliseconds from any origin. */
  now(): number;
  /** Closes a connection whose heads take room that others need, and forgets it. */
  close(connection: Connection): void;
  /** A read has brought much that was no body. */
  onLong(connection: Connection): void;
}

/** A read that has brought so much that was no body has taken time. */
const longBytes = 4_096;

/**
 * Nothing tells how far Node's parser is in a head. But what has been read and is neither a body nor a complete head belongs to one that
 * is not complete, or to trailers.
 */
export function createConnectionHeads<Connection extends HeadsOfConnection>(
  options: Options<Connection>,
): ConnectionHeads<Connection> {
  const { limits, connections, onLong } = options;
  const room = createHeadsRoom(options);
  const count = (one: Connection) => room.set(one, one.unfinishedBytes + one.requestsBytes);

  return {
    own: room.own,
    forget: (connection) => room.set(connection, 0),
    headHasCome(request) {
      const connection = connections.get(request.socket);
      if (connection === undefined) return;
      const bytes = headBytesOf(request);
      connection.wholeBytes += bytes;
      connection.requestsBytes += bytes;
      connection.bodyBytes += Number(request.headers['content-length'] ?? 0);
    },
    partHasCome(request, part) {
      const connection = connections.get(request.socket);
      if (connection === undefined) return;
      if (part !== null) {
        connection.pieceBytes += part.length + part.length.toString(16).length + '\r\n\r\n'.length;
        return;
      }
      const bytes = bytesOf(request.rawTrailers);
      connection.wholeBytes += bytes + '0\r\n\r\n'.length;
      connection.requestsBytes += bytes;
    },
    readHasCome(socket) {
      const connection = connections.get(socket);
      if (connection === undefined) return;
      const { bytesRead } = socket;
      const read = bytesRead - connection.bytesRead;
      const { wholeBytes, pieceBytes } = connection;
      // An answer that is written in the middle of a read is told too, before what comes behind it has been parsed.
      if (read < 0 || (read === 0 && wholeBytes + pieceBytes === 0)) return;
      const left = Math.max(0, connection.unfinishedBytes + read - wholeBytes - pieceBytes);
      const body = Math.min(left, connection.bodyBytes);
      connection.bytesRead = bytesRead;
      connection.wholeBytes = 0;
      connection.pieceBytes = 0;
      connection.bodyBytes -= body;
      // How much white space stood in a complete head is not known, and must not add up.
      const isRest = wholeBytes > 0 && left - body <= limits.headBytesFree;
      connection.unfinishedBytes = isRest ? 0 : left - body;
      count(connection);
      if (read - body - pieceBytes >= longBytes) onLong(connection);
    },
    fail(socket) {
      const connection = connections.get(socket);
      if (connection !== undefined) connection.bytesRead = Number.POSITIVE_INFINITY;
    },
    leave(connection, request, isLast) {
      const left = () => connection.requestsBytes - headBytesOf(request) - bytesOf(request.rawTrailers);
      connection.requestsBytes = isLast ? 0 : Math.max(0, left());
      if (connection.held !== undefined) count(connection);
    },
  };
}

/** @returns the bytes of a head of which only its parts are known, each with what usually stands around it */
function headBytesOf({ method = '', url = '', rawHeaders }: IncomingMessage): number {
  return method.length + url.length + '  HTTP/1.1\r\n\r\n'.length + bytesOf(rawHeaders);
}

function bytesOf(parts: readonly string[]): number {
  let bytes = ': '.length * parts.length;
  for (const part of parts) bytes += part.length;
  return bytes;
}
