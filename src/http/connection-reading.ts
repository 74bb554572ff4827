import type { Socket } from 'node:net';
import { createStrangerSlots, type SlotLimits, type StrangerSlots } from './stranger-slots.ts';

/** What decides whether a connection may be read. */
export interface ReadConnection {
  /** Requests that it has sent ahead of those being served. While there are any, the connection is not read. */
  ahead: readonly unknown[];
  /** It has brought much at once before: requests ahead, large heads or trailers, or very many small pieces of a body. */
  isGreedy: boolean;
  /** Node itself would read it now: no body that has come on it waits for its handler. */
  isWanted: boolean;
  /** The owner from whose share its requests ahead are taken; undefined while no known key has come on it. */
  owner?: string | undefined;
}

/** Decides which connections are read. */
export interface ConnectionReading {
  strangers: StrangerSlots;
  /** Takes in a new connection, which is still paused (`pauseOnConnect`). */
  open(socket: Socket): void;
  /** The connection has a known key for the first time, or another owner than before. */
  keep(socket: Socket): void;
  /** The connection is closed. */
  close(socket: Socket): void;
  /** The connection has got its first request ahead, or has none any more. */
  readOrNot(socket: Socket): void;
  /** The owner has gone beyond its share, or has come back within it. */
  readOrNotOf(owner: string): void;
  /** As `rest`, and `cause` is greedy from now on: it is read after the others in later turns. */
  restAfter(cause: Socket): void;
  /** Reads no connection for the rest of this turn of the event loop, because `cause` has brought enough work for it. */
  rest(cause: Socket): void;
}

interface Options {
  limits: SlotLimits;
  connections: ReadonlyMap<Socket, ReadConnection>;
  /** Milliseconds from any origin. */
  now(): number;
  /** A connection without a known key has been read and brought none. It gives its place to another. */
  onLooked(socket: Socket): unknown;
  /** Whether connections of this owner together have sent too much ahead. */
  isOver(owner: string): boolean;
}

/**
 * Connections with a known key are read, unless their owner is beyond its share. Of those without one some are read at a time
 * (stranger-slots.ts). A connection that has requests ahead is not read, and during a rest none is.
 */
export function createConnectionReading({ limits, connections, now, ...callbacks }: Options): ConnectionReading {
  const { onLooked, isOver } = callbacks;
  const kept = new Set<Socket>();
  const strangers = createStrangerSlots({
    ...{ limits, now, onLooked, onChange: readOrNot },
    isCutShort: () => pause.wasResting(),
  });
  const pause = createRest({ connections, read: () => [...strangers.read(), ...kept], readOrNot });

  function readOrNot(socket: Socket): void {
    const connection = connections.get(socket);
    if (connection === undefined || socket.destroyed) return;
    const mayBeRead = connection.isWanted && connection.ahead.length === 0 && !pause.holds(connection);
    const { owner } = connection;
    const isTurn = owner === undefined ? strangers.isRead(socket) : !isOver(owner);
    // Node's own methods. `open` replaces them on each socket by ones that only note what Node wants.
    const { pause: stop, resume } = Object.getPrototypeOf(socket) as Socket;
    (mayBeRead && isTurn ? resume : stop).call(socket);
  }

  /** Node pauses a connection while the body on it has no reader, and resumes it at the end of each answer. */
  function want(socket: Socket, isWanted: boolean): Socket {
    const connection = connections.get(socket) as ReadConnection | undefined;
    if (connection !== undefined) connection.isWanted = isWanted;
    readOrNot(socket);
    return socket;
  }

  // One function for all connections.
  function pauseIt(this: Socket): Socket {
    return want(this, false);
  }

  function resumeIt(this: Socket): Socket {
    return want(this, true);
  }

  return {
    strangers,
    readOrNot,
    readOrNotOf(owner) {
      // As after a rest, connections that are not greedy are read first.
      const owned = [...kept].filter((socket) => connections.get(socket)?.owner === owner);
      for (const greedy of [false, true])
        for (const socket of owned) if (connections.get(socket)?.isGreedy === greedy) readOrNot(socket);
    },
    rest: pause.rest,
    restAfter(cause) {
      const connection = connections.get(cause);
      if (connection !== undefined) connection.isGreedy = true;
      pause.rest(cause);
    },
    open(socket) {
      socket.pause = pauseIt;
      socket.resume = resumeIt;
      strangers.add(socket);
    },
    keep(socket) {
      strangers.delete(socket);
      kept.add(socket);
      readOrNot(socket);
    },
    close(socket) {
      kept.delete(socket);
      strangers.delete(socket);
    },
  };
}

/** How many owners that have caused a rest lately are remembered. */
const causesMax = 16;

interface RestOptions {
  connections: ReadonlyMap<Socket, ReadConnection>;
  read(): Socket[];
  readOrNot(socket: Socket): void;
}

/**
 * Node parses each read as a whole. One read can bring 1,600 requests, and without a rest 50 such connections would be read in one
 * turn of the event loop.
 *
 * After a rest, connections that are not greedy are read one turn before the others. To resume them first in the same turn would not
 * be enough. The kernel (epoll) lists connections in the order in which they became ready. A connection that was read keeps its
 * place in that list; one that was paused before it was read leaves the list and comes back at its end. So a connection that
 * always brings much would be read in each turn, and no other one. A connection that stays paused for a turn leaves the list too.
 */
function createRest({ connections, read, readOrNot }: RestOptions): {
  rest(cause: Socket): void;
  /** Whether a connection is not read now because of a rest. */
  holds(connection: ReadConnection): boolean;
  /** Whether there was a rest since this was called last. */
  wasResting(): boolean;
} {
  /** During 'reads the light' greedy connections are not read. */
  let state: 'reads' | 'rests' | 'reads the light' = 'reads';
  let rests = 0;
  let restsSeen = 0;
  const ownerOf = (socket: Socket) => connections.get(socket)?.owner;
  const isGreedy = (socket: Socket) => connections.get(socket)?.isGreedy === true;
  /** The owners whose connections caused the last rests, the latest last. */
  const causes = new Set<string | undefined>();

  function goOn(): void {
    // Connections with a known key come first, then those without one, the newest first.
    const resting = read().reverse();
    const others = resting.filter((socket) => !causes.has(ownerOf(socket)));
    const ofCauses = [...causes].flatMap((owner) => resting.filter((socket) => ownerOf(socket) === owner));
    // Owners that have caused rests lately come last, so that nobody waits for all connections of one organization.
    const order = [...others, ...ofCauses];
    for (const greedy of [false, true]) for (const socket of order) if (isGreedy(socket) === greedy) readOrNot(socket);
  }

  function readTheLight(): void {
    state = 'reads the light';
    setImmediate(readAll);
    goOn();
  }

  function readAll(): void {
    state = 'reads';
    goOn();
  }

  return {
    holds: ({ isGreedy }) => state === 'rests' || (isGreedy && state === 'reads the light'),
    wasResting() {
      const was = rests !== restsSeen;
      restsSeen = rests;
      return was;
    },
    rest(cause) {
      if (state === 'rests') return;
      causes.delete(ownerOf(cause));
      causes.add(ownerOf(cause));
      if (causes.size > causesMax) causes.delete([...causes][0]);
      // A rest that begins while only the light are read is followed by a turn in which all are read. Otherwise a flood of new
      // connections could keep the greedy ones from being read for ever.
      if (state === 'reads') setImmediate(readTheLight);
      state = 'rests';
      rests++;
      for (const socket of read()) readOrNot(socket);
    },
  };
}
