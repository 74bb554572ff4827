import type { Socket } from 'node:net';
import { type Arrivals, addHead, noArrivals, takeRead } from './arrivals.ts';
import { type CountedRequest, headBytesOf } from './counted-request.ts';
import { createHeadsRoom, type HeadsConnection, type HeadsLimits } from './heads-room.ts';
import { createReadWatch } from './read-watch.ts';

/** What is known of a connection here. */
export interface HeadsOfConnection extends HeadsConnection {
  arrivals: Arrivals;
  /** Bytes of all reads that have been judged. */
  bytesRead: number;
  /** Bytes of the heads of requests that are served or wait. */
  headsBytes: number;
}

export const noHeads = () => ({ arrivals: noArrivals(), bytesRead: 0, headsBytes: 0 });

/** Judges each read of a connection, and counts the heads that connections hold. */
export interface ConnectionHeads<Connection> {
  /** A new connection, whose reads are told from now on. */
  open(socket: Socket): void;
  /** The head of a request is complete, whether it is served or not. */
  hasCome(connection: Connection, request: CountedRequest): void;
  /** A request that is served or waits is held. */
  enter(connection: Connection, request: CountedRequest): void;
  /** It no longer is. */
  leave(connection: Connection, request: CountedRequest): void;
  /** The connection has another owner. */
  own(connection: Connection): void;
  /** It is closed. */
  forget(connection: Connection): void;
}

interface Options<Connection> {
  limits: HeadsLimits;
  connections: ReadonlyMap<Socket, Connection>;
  reading: { hasBegun(): boolean; took(socket: Socket, otherBytes: number): void };
  /** Closes a connection whose heads take room that others need, and forgets it. */
  close(connection: Connection): void;
}

export function createConnectionHeads<Connection extends HeadsOfConnection>(
  options: Options<Connection>,
): ConnectionHeads<Connection> {
  const { limits, connections, reading, close } = options;
  const room = createHeadsRoom(limits, close);

  function count(connection: Connection): void {
    room.set(connection, connection.headsBytes + connection.arrivals.unfinishedBytes);
  }

  function readHasCome(socket: Socket): void {
    const connection = connections.get(socket);
    if (connection === undefined) return;
    const { arrivals } = connection;
    arrivals.request?.handOn();
    // A read in which an answer was written is told of twice.
    const { bytesRead } = socket;
    if (bytesRead === connection.bytesRead && !reading.hasBegun()) return;
    connection.bytesRead = bytesRead;
    reading.took(socket, takeRead(arrivals, bytesRead));
    if (connections.has(socket)) count(connection);
  }

  return {
    open: createReadWatch(readHasCome),
    own: room.own,
    forget: (connection) => room.set(connection, 0),
    hasCome(connection, request) {
      request.headBytes = headBytesOf(request);
      addHead(connection.arrivals, request);
    },
    enter(connection, request) {
      connection.headsBytes += request.headBytes;
    },
    leave(connection, request) {
      connection.headsBytes -= request.headBytes;
      if (request.headBytes > limits.headBytesFree) count(connection);
    },
  };
}
