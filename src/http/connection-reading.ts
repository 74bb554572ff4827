import type { Socket } from 'node:net';
import { createStrangerSlots, type SlotLimits, type StrangerSlots } from './stranger-slots.ts';

/** What says whether a connection may be read. */
export interface ReadConnection {
  /** Requests that it has sent ahead. While there are any, the connection is not read. */
  ahead: readonly unknown[];
  /** It has sent some ahead before, or very many pieces. */
  isGreedy: boolean;
  /** Node would read it: no body on it waits for somebody to read it. */
  isWanted: boolean;
  /** Whose share of what is sent ahead it takes from; undefined while no known key has come on it. */
  owner?: string | undefined;
}

/** Says which connections are read. */
export interface ConnectionReading {
  strangers: StrangerSlots;
  /** A new connection, which has come paused (`pauseOnConnect`). */
  open(socket: Socket): void;
  /** A known key has come on it, or its owner is another one. */
  keep(socket: Socket): void;
  /** It is closed. */
  close(socket: Socket): void;
  /** What it has sent ahead has changed. */
  readOrNot(socket: Socket): void;
  /** Whether this owner is beyond its share has changed. */
  readOrNotOf(owner: string): void;
  /** As below, and reads it after the others in later turns. */
  restAfter(cause: Socket): void;
  /** Reads no connection for the rest of this turn of the event loop, since this one has brought enough work. */
  rest(cause: Socket): void;
}

interface Options {
  limits: SlotLimits;
  connections: ReadonlyMap<Socket, ReadConnection>;
  /** Milliseconds from any origin. */
  now(): number;
  /** One of the strangers has been read, brought no request with a known key, and makes room for others. */
  onLooked(socket: Socket): unknown;
  /** Whether connections of this owner together have sent too much ahead. */
  isOver(owner: string): boolean;
}

/**
 * Those with a known key are read, but for those of an owner that is beyond its share, and some of the others; nobody who has sent
 * requests ahead; nobody during a rest.
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
    // Its own are below, and only note what Node wants.
    const { pause: stop, resume } = Object.getPrototypeOf(socket) as Socket;
    (mayBeRead && isTurn ? resume : stop).call(socket);
  }

  /** Node pauses a connection while nobody reads a body on it, and resumes it at the end of each answer. */
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
      // As after a rest, whoever has sent nothing ahead yet is read first.
      const its = [...kept].filter((socket) => connections.get(socket)?.owner === owner);
      for (const greedy of [false, true])
        for (const socket of its) if (connections.get(socket)?.isGreedy === greedy) readOrNot(socket);
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

/** Of so many it is known that they have brought work lately. */
const causesMax = 16;

interface RestOptions {
  connections: ReadonlyMap<Socket, ReadConnection>;
  read(): Socket[];
  readOrNot(socket: Socket): void;
}

/**
 * Node parses each read whole: one brings 1,600 requests, and 50 such connections would be read in one turn.
 *
 * After a rest whoever has brought little goes on one turn before the others. To resume it first would not be enough: the kernel names
 * connections in the order in which it has found them ready, and one that was read keeps its place, while those that were
 * paused before their turn are taken off its list and come to the end. A connection that always brings much would be read in each
 * turn, and nobody else. One that stays paused for a turn is taken off as well.
 * @returns what leaves the connections unread for the rest of a turn of the event loop, and which are not read now
 */
function createRest({ connections, read, readOrNot }: RestOptions): {
  rest(cause: Socket): void;
  /** Whether a connection is not read now. */
  holds(connection: ReadConnection): boolean;
  wasResting(): boolean;
} {
  /** In a turn of the light nobody is read who has brought much at once before. */
  let state: 'reads' | 'rests' | 'reads the light' = 'reads';
  let rests = 0;
  let restsSeen = 0;
  const ownerOf = (socket: Socket) => connections.get(socket)?.owner;
  const isGreedy = (socket: Socket) => connections.get(socket)?.isGreedy === true;
  /** Of whom the work was, the last one last. */
  const causes = new Set<string | undefined>();

  function goOn(): void {
    // Of those that have brought little the ones with a key come first, then whoever has come last.
    const resting = read().reverse();
    const others = resting.filter((socket) => !causes.has(ownerOf(socket)));
    const its = [...causes].flatMap((owner) => resting.filter((socket) => ownerOf(socket) === owner));
    // Whoever has brought work lately comes after the others, so that nobody waits for each connection of one organization.
    const order = [...others, ...its];
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
      // A rest in a turn of the light ends with all being read, so that a flood of new connections keeps nobody from that.
      if (state === 'reads') setImmediate(readTheLight);
      state = 'rests';
      rests++;
      for (const socket of read()) readOrNot(socket);
    },
  };
}
