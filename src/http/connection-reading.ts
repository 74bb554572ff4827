import type { Socket } from 'node:net';
import { createReadingTime, type Owner, type ReadingTimeLimits } from './reading-time.ts';
import { createStrangerSlots, type SlotLimits, type StrangerSlots } from './stranger-slots.ts';

/** What says whether a connection may be read. */
export interface ReadConnection {
  /** Requests that it has sent ahead. While there are any, the connection is not read. */
  ahead: readonly unknown[];
  /** It has sent some ahead before, or much that was no body in one read. */
  isGreedy: boolean;
  /** Node would read it: no body on it waits for somebody to read it. */
  isWanted: boolean;
  /** It is read, as far as this room has a say. */
  isRead: boolean;
  /** Whose share of what is sent ahead it takes from; undefined while no known key has come on it. */
  owner?: Owner;
  /** The same when what the next read brings was sent for. */
  readAs?: Owner;
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
  /** Something has come on a connection; called again and again. */
  begin(): void;
  /** Whether something has, of which no read has been told yet. */
  hasBegun(): boolean;
  /**
   * A read of a connection has been parsed. When reading has taken long, nobody is read for the rest of this turn.
   * @param otherBytes of the read, which were no body
   */
  took(socket: Socket, otherBytes: number): void;
}

interface Options {
  limits: SlotLimits & ReadingTimeLimits;
  connections: ReadonlyMap<Socket, ReadConnection>;
  /** Milliseconds from any origin. */
  now(): number;
  /** One of the strangers has been read, brought no request with a known key, and makes room for others. */
  onLooked(socket: Socket): unknown;
  /** Whether connections of this owner together have sent too much ahead. */
  isOver(owner: string): boolean;
}

/** A read that has brought so much that was no body has taken time. */
const longBytes = 4_096;

/**
 * Those with a known key are read, but for those of an owner that is beyond its share or owes time, and some of the others; nobody who
 * has sent requests ahead; nobody when reading has taken long in this turn.
 */
export function createConnectionReading({ limits, connections, now, ...told }: Options): ConnectionReading {
  const { onLooked, isOver } = told;
  const kept = new Set<Socket>();
  const time = createReadingTime({ limits, now, onTurn: () => readOrNotAll(read()), onPaid });
  const strangers = createStrangerSlots({
    ...{ limits, now, onLooked, onChange: readOrNot },
    ...{ isCutShort: time.wasCutShort, isHeld: () => time.owes(undefined) },
  });
  /** Those with a key come first, of those the ones that have brought much last; then whoever has come last. */
  const read = () => [...kept, ...strangers.read().reverse()];

  function readOrNot(socket: Socket): void {
    const connection = connections.get(socket);
    if (connection === undefined || socket.destroyed) return;
    const { owner } = connection;
    const mayBeRead = connection.isWanted && connection.ahead.length === 0 && !time.isTurnOver() && !time.owes(owner);
    const isTurn = owner === undefined ? strangers.isRead(socket) : !isOver(owner);
    // Its own only note what Node wants.
    const { pause: stop, resume } = Object.getPrototypeOf(socket) as Socket;
    connection.isRead = mayBeRead && isTurn;
    (connection.isRead ? resume : stop).call(socket);
  }

  /** What is read first is parsed first: whoever has sent little goes before the others. */
  function readOrNotAll(sockets: Socket[]): void {
    for (const isGreedy of [false, true])
      for (const socket of sockets) if (connections.get(socket)?.isGreedy === isGreedy) readOrNot(socket);
  }

  const ofOwner = (owner: Owner) => read().filter((socket) => connections.get(socket)?.owner === owner);

  function onPaid(owners: Owner[]): void {
    readOrNotAll(owners.flatMap(ofOwner));
    strangers.goOn();
  }

  const heed = createWishes(connections, readOrNot);

  return {
    strangers,
    readOrNot,
    readOrNotOf: (owner) => readOrNotAll(ofOwner(owner)),
    begin: time.begin,
    hasBegun: time.hasBegun,
    took(socket, otherBytes) {
      const connection = connections.get(socket);
      if (connection === undefined) return;
      const { readAs, owner } = connection;
      const isLong = otherBytes >= longBytes;
      if (isLong) connection.isGreedy = true;
      connection.readAs = owner;
      if (!time.took(readAs, isLong)) return;
      // So that its connections take turns.
      if (kept.delete(socket)) kept.add(socket);
      for (const one of read()) readOrNot(one);
    },
    open(socket) {
      heed(socket);
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

/** @returns what makes `pause` and `resume` of a new connection note what Node wants */
function createWishes(
  connections: ReadonlyMap<Socket, ReadConnection>,
  readOrNot: (socket: Socket) => void,
): (socket: Socket) => void {
  /** Node pauses a connection while nobody reads a body on it, and resumes it at the end of each answer. */
  function want(socket: Socket, isWanted: boolean): Socket {
    const connection = connections.get(socket);
    if (connection !== undefined) connection.isWanted = isWanted;
    readOrNot(socket);
    return socket;
  }

  // One function of each for all connections.
  /** A stream that is paused right after it was resumed still goes on: that comes in `nextTick`. */
  function staySo(this: Socket): void {
    // To pause it once more would say nothing.
    if (connections.get(this)?.isRead === false) this.emit('pause');
  }

  function pauseIt(this: Socket): Socket {
    return want(this, false);
  }

  function resumeIt(this: Socket): Socket {
    return want(this, true);
  }

  return (socket) => {
    socket.pause = pauseIt;
    socket.resume = resumeIt;
    socket.on('resume', staySo);
  };
}
