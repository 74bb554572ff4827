import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { createHeadsRoom, type HeadsConnection, type HeadsLimits } from './heads-room.ts';

/** What is counted of the bytes that a connection has sent. A read is what Node takes from its socket at once. */
export interface HeadsOfConnection extends HeadsConnection {
  /** `bytesRead` of the socket when its last read was counted. */
  bytesRead: number;
  /** Bytes of the last read. */
  readBytes: number;
  /** Bytes of heads and trailers that have become complete since then. */
  wholeBytes: number;
  /** Bytes of the pieces of chunked bodies that have come since then, with the size line and line ends of each. */
  pieceBytes: number;
  /** Bytes of bodies with a `Content-Length` that have not come yet. */
  bodyBytes: number;
  /** Content-Length of the last head. */
  lengthBytes: number;
  /** Bytes of a head or of trailers that are not complete, estimated (see below). */
  unfinishedBytes: number;
  /** Bytes of the heads and trailers of requests that are being served or wait. */
  requestsBytes: number;
}

export const noHeads = () => ({
  ...{
    bytesRead: 0,
    readBytes: 0,
    wholeBytes: 0,
    pieceBytes: 0,
    bodyBytes: 0,
    lengthBytes: 0,
    unfinishedBytes: 0,
    requestsBytes: 0,
  },
  held: undefined,
});

/** Counts the bytes of heads that connections hold, and reports reads that took Node long to parse. */
export interface ConnectionHeads<Connection> {
  /** The head of a request is complete, whether it will be served or not. */
  headHasCome(request: IncomingMessage): void;
  /** A piece of a chunked body has come; null at its end. */
  partHasCome(request: IncomingMessage, part: Buffer | null): void;
  /** Node has parsed a read of a connection. May also be called when nothing was read. */
  readHasCome(socket: Socket): void;
  /** An error has occurred on the connection: what it sends from now on is discarded and not counted. */
  fail(socket: Socket): void;
  /** A request has left: its client has taken the answer or is gone. @param isLast the connection has no other request */
  leave(connection: Connection, request: IncomingMessage, isLast: boolean): void;
  /** The owner of the connection has changed. */
  own(connection: Connection): void;
  /** The connection is closed. */
  forget(connection: Connection): void;
}

interface Options<Connection> {
  limits: HeadsLimits;
  connections: ReadonlyMap<Socket, Connection>;
  /** Milliseconds from any origin. */
  now(): number;
  /** Closes a connection whose heads take room that others need, and calls `forget` for it. */
  close(connection: Connection): void;
  /** A read has brought `longBytes` or more that belonged to no body. */
  onLong(connection: Connection): void;
}

/** Bytes of heads and trailers from which a read counts as long to parse. */
const longBytes = 4_096;

/**
 * Node does not say how many bytes of an incomplete head its parser holds, so they are computed: bytes that were read and belong
 * neither to a body nor to a complete head belong to an incomplete head or to trailers.
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
      connection.lengthBytes = Number(request.headers['content-length'] ?? 0);
      connection.bodyBytes += connection.lengthBytes;
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
      // Node also calls this for an answer that is written in the middle of a read. The rest of the read is then not parsed yet.
      if (read < 0 || (read === 0 && wholeBytes + pieceBytes === 0)) return;
      const left = Math.max(0, connection.unfinishedBytes + read - wholeBytes - pieceBytes);
      const body = Math.min(left, connection.bodyBytes);
      connection.bytesRead = bytesRead;
      connection.wholeBytes = 0;
      connection.pieceBytes = 0;
      if (read > 0) connection.readBytes = read;
      // Of earlier bodies nothing is to come any more.
      connection.bodyBytes = Math.min(connection.bodyBytes - body, connection.lengthBytes);
      const isSmallRest = wholeBytes > 0 && left - body <= limits.headBytesFree;
      const unfinished = () => unfinishedOf(connection, { left: left - body, body, pieceBytes, wholeBytes });
      connection.unfinishedBytes = isSmallRest ? 0 : unfinished();
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

/**
 * The separators of a complete head, and those around the pieces of a body, are not known exactly. So that such errors do not
 * add up, what was left before a head, a body or a piece came is dropped: only the last read can hold the beginning of a head.
 * @param left bytes that belong to nothing that is known
 */
function unfinishedOf(
  { bodyBytes, readBytes }: HeadsOfConnection,
  { left, body, pieceBytes, wholeBytes }: Record<'left' | 'body' | 'pieceBytes' | 'wholeBytes', number>,
): number {
  if (bodyBytes > 0) return 0;
  if (body + pieceBytes + wholeBytes === 0) return left;
  return Math.min(left, Math.max(0, readBytes - body - pieceBytes));
}

/** @returns about how many bytes a head had: its parts, each with the usual separators */
function headBytesOf({ method = '', url = '', rawHeaders }: IncomingMessage): number {
  return method.length + url.length + '  HTTP/1.1\r\n\r\n'.length + bytesOf(rawHeaders);
}

function bytesOf(parts: readonly string[]): number {
  let bytes = ': '.length * parts.length;
  for (const part of parts) bytes += part.length;
  return bytes;
}
