import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type ConnectionHeads, createConnectionHeads, type HeadsOfConnection, noHeads } from './connection-heads.ts';
import { type ConnectionReading, createConnectionReading, type ReadConnection } from './connection-reading.ts';
import type { HeadsLimits } from './heads-room.ts';
import type { HttpLimits } from './limits.ts';
import { createReadWatch } from './read-watch.ts';
import { type AheadConnection, type AheadLimits, createRequestsAhead, type RequestsAhead } from './requests-ahead.ts';
import type { SlotLimits, StrangerSlots } from './stranger-slots.ts';

/** A request that has been read, and its answer. */
export type Exchange = [IncomingMessage, ServerResponse];

export interface ConnectionRoom {
  /**
   * Takes in a new connection. When there are more than `connectionsMax`, one is closed: the oldest without a known key that has
   * been read, or else one of the organization that has most connections. Connections that come faster than they can be read for
   * the first time stay until they have been read, up to `connectionsUnreadOverMax` of them.
   */
  open(socket: Socket): void;
  /** A known key of this organization has come on this connection. */
  keep(socket: Socket, organizationId: string): void;
  /** @returns whether to serve the request now; otherwise it waits until `leave` returns it */
  enter(exchange: Exchange): boolean;
  /**
   * Something that is costly to parse has come on this connection. Once `aheadMsPerTurn` have passed in this turn since the first
   * such call, no connection is read for the rest of the turn.
   */
  costs(socket: Socket): void;
  /** A connection brings very much work at once: no connection is read for the rest of this turn, and it is read after the others. */
  brings(socket: Socket): void;
  /** The head of a request is complete, whether it will be served or not. */
  headHasCome(request: IncomingMessage): void;
  /** A piece of a chunked body has come; null at its end. */
  partHasCome(request: IncomingMessage, part: Buffer | null): void;
  /** An error has occurred on the connection: what it sends from now on is discarded and not counted. */
  fail(socket: Socket): void;
  /** The client has taken the answer to this request, or is gone. @returns the next request of the connection to serve, if one waits */
  leave(request: IncomingMessage): Exchange | undefined;
}

interface Connection extends ReadConnection, AheadConnection, HeadsOfConnection {
  socket: Socket;
  /** How many requests are being served. A request is served until its client has taken the answer. */
  running: number;
  ahead: Exchange[];
  /** The organization of the last known key that has come. */
  organizationId?: string | undefined;
}

type RoomLimits = SlotLimits &
  AheadLimits &
  HeadsLimits &
  Pick<HttpLimits, 'connectionsMax' | 'connectionsUnreadOverMax' | 'requestsPerConnectionMax' | 'aheadMsPerTurn'>;

/** How many connections of an organization are searched for one that may be closed. */
const idleLooksMax = 100;

interface Options {
  limits: RoomLimits;
  /** Milliseconds from any origin. */
  now?(): number;
  /** Answers that the head of this client takes room that others need, and closes its connection. */
  refuseHead?(socket: Socket, code: 'STRANGER_HEADS' | 'KEYED_HEADS'): void;
}

/** Bounds the connections of a server and the requests that they have sent ahead, and decides which connections are read. */
export function createConnectionRoom({
  limits,
  now = () => performance.now(),
  refuseHead = (socket) => socket.destroy(),
}: Options): ConnectionRoom {
  const connections = new Map<Socket, Connection>();
  const onLooked = (socket: Socket) => connectionsOver(limits, connections) > 0 && shut(socket);
  const counted = createRequestsAhead(limits, (owner) => reading.readOrNotOf(owner));
  const reading = createConnectionReading({ limits, connections, now, onLooked, isOver: counted.isOver });
  const { strangers } = reading;
  const costs = createTurnTime(limits.aheadMsPerTurn, now, reading.rest);
  const heads = createConnectionHeads({ limits, connections, now, close: closeForHeads, onLong });
  const watchReads = createReadWatch(heads.readHasCome);

  function onLong(connection: Connection): void {
    connection.isGreedy = true;
    costs(connection.socket);
  }

  function closeForHeads(connection: Connection): void {
    const { socket, running, owner } = connection;
    forgetIt.call(socket);
    // An answer may have begun already, and cannot be replaced by a 408.
    if (running > 0) socket.destroy();
    else refuseHead(socket, owner === undefined ? 'STRANGER_HEADS' : 'KEYED_HEADS');
  }

  function forgetIt(this: Socket): void {
    const connection = connections.get(this);
    reading.close(this);
    if (connection === undefined) return;
    connections.delete(this);
    heads.forget(connection);
    counted.add(connection, -connection.ahead.length);
    forget(connection.ahead);
  }

  /** Forgets the connection at once: its `close` comes later, and new connections may come before that. */
  function shut(socket: Socket): void {
    forgetIt.call(socket);
    socket.destroy();
  }

  return {
    ...createServing({ limits, connections, counted, reading, heads, costs }),
    costs,
    brings: reading.restAfter,
    headHasCome: heads.headHasCome,
    partHasCome: heads.partHasCome,
    fail: heads.fail,
    keep(socket, organizationId) {
      const connection = connections.get(socket);
      if (connection === undefined) return;
      connection.organizationId = organizationId;
      if (!counted.own(connection, organizationId)) return;
      reading.keep(socket);
      heads.own(connection);
    },
    open(socket) {
      connections.set(socket, newConnection(socket));
      watchReads(socket);
      // Before Node's own listener, which ends the requests that were sent ahead.
      socket.prependOnceListener('close', forgetIt);
      reading.open(socket);
      const one = oneToClose(limits, connections, strangers, socket);
      if (one !== undefined) shut(one);
    },
  };
}

const newConnection = (socket: Socket): Connection => ({
  ...{ socket, running: 0, ahead: [], isWanted: true, isGreedy: false },
  ...noHeads(),
});

interface Serving {
  limits: RoomLimits;
  connections: ReadonlyMap<Socket, Connection>;
  counted: RequestsAhead;
  reading: ConnectionReading;
  heads: ConnectionHeads<Connection>;
  costs(socket: Socket): void;
}

/** Requests of a connection are served a few at a time; those behind them wait. */
function createServing({ limits, connections, ...rooms }: Serving): Pick<ConnectionRoom, 'enter' | 'leave'> {
  const { counted, reading, heads, costs } = rooms;
  const { strangers } = reading;

  function hold(socket: Socket, connection: Connection, exchange: Exchange): void {
    const { ahead } = connection;
    connection.isGreedy = true;
    costs(socket);
    if (ahead.length >= counted.mostOf(connection, strangers.count())) {
      end(socket);
      return;
    }
    const isFirst = ahead.push(exchange) === 1;
    counted.add(connection, 1);
    if (isFirst) reading.readOrNot(socket);
  }

  return {
    enter(exchange) {
      const { socket } = exchange[0];
      const connection = connections.get(socket);
      if (connection === undefined) return true;
      if (connection.running >= limits.requestsPerConnectionMax) {
        hold(socket, connection, exchange);
        return false;
      }
      connection.running++;
      return true;
    },
    leave(request) {
      const { socket } = request;
      const connection = connections.get(socket);
      if (connection === undefined) return undefined;
      connection.running--;
      const exchange = connection.ahead.shift();
      heads.leave(connection, request, exchange === undefined && connection.running === 0);
      if (exchange === undefined) {
        // Here and not in `enter`: there its key has not been looked up yet.
        strangers.hasAsked(socket);
        return undefined;
      }
      connection.running++;
      counted.add(connection, -1);
      if (connection.ahead.length === 0) reading.readOrNot(socket);
      return exchange;
    },
  };
}

/** The connection to close for a new one. @returns undefined where all may stay for now */
function oneToClose(
  limits: RoomLimits,
  connections: ReadonlyMap<Socket, Connection>,
  strangers: StrangerSlots,
  newest: Socket,
): Socket | undefined {
  const over = connectionsOver(limits, connections);
  if (over <= 0) return undefined;
  const oldest = strangers.toClose() ?? (over > limits.connectionsUnreadOverMax ? strangers.oldest() : undefined);
  // The oldest stranger is the new connection itself when every other one has a known key.
  return oldest === newest ? (ofLargest(connections) ?? newest) : oldest;
}

function connectionsOver({ connectionsMax }: RoomLimits, { size }: ReadonlyMap<Socket, Connection>): number {
  return connectionsMax > 0 ? size - connectionsMax : 0;
}

/** Of the organization that has most connections: the oldest connection that is not being served (see `oldestIdle`). */
function ofLargest(connections: ReadonlyMap<Socket, Connection>): Socket | undefined {
  const sockets = new Map<string, Socket[]>();
  for (const [socket, { organizationId }] of connections) {
    if (organizationId === undefined) continue;
    const others = sockets.get(organizationId);
    if (others === undefined) sockets.set(organizationId, [socket]);
    else others.push(socket);
  }
  let most: Socket[] = [];
  for (const own of sockets.values()) if (own.length > most.length) most = own;
  return oldestIdle(most, connections);
}

/** The first of them that is not being served, if it is among the first hundred. */
function oldestIdle(sockets: Iterable<Socket>, connections: ReadonlyMap<Socket, Connection>): Socket | undefined {
  let looks = 0;
  for (const socket of sockets) {
    if (connections.get(socket)?.running === 0) return socket;
    if (++looks === idleLooksMax) return undefined;
  }
  return undefined;
}

/**
 * Measures how long one kind of work goes on in one turn of the event loop.
 * @returns a function to call at each piece of that work. It calls `onLong` once `msMax` have passed since the first call of the turn
 */
function createTurnTime(msMax: number, now: () => number, onLong: (socket: Socket) => void): (socket: Socket) => void {
  let since: number | undefined;
  const begin = () => {
    since = undefined;
  };
  return (socket) => {
    if (since === undefined) {
      since = now();
      setImmediate(begin);
    } else if (now() - since >= msMax) onLong(socket);
  };
}

/** Requests that have not begun end silently with their connection. Node would make an error for each; 3,000 of them take 200 ms. */
function forget(ahead: readonly Exchange[]): void {
  for (const [request] of ahead) request.destroy = () => request;
}

/** Closes a connection, and drops the other requests of its last read. Otherwise Node would create an object for each. */
function end(socket: Socket): void {
  const { parser } = socket as { parser?: { onIncoming?: unknown; pause?(): void } };
  if (parser?.onIncoming != null) parser.onIncoming = () => 0;
  // Without this the parser would still go through all of them, which takes 2 ms. Node gives the parser to another connection
  // later, and starts it anew there.
  parser?.pause?.();
  socket.destroy();
}
