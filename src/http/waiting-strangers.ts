import type { Socket } from 'node:net';
import type { HttpLimits } from './limits.ts';

/** The connections without a known key that wait to be read, in the order in which they get a place. */
export interface WaitingStrangers {
  /** Notes a new connection: it is likely to send a request soon. */
  isNew(socket: Socket): void;
  /** A request of it has been answered: it is likely to send more. */
  hasAsked(socket: Socket): void;
  /** The connection has lost its place and waits. @param wasRead whether Node has looked at it while it had the place */
  add(socket: Socket, wasRead: boolean): void;
  /** Takes out the connection to read next; undefined when none waits. */
  take(): Socket | undefined;
  /** The connection is closed, or a known key has come on it. */
  forget(socket: Socket): void;
  /** The connection that was read first of all, whether it waits now or is read again. */
  oldestRead(): Socket | undefined;
  size(): number;
  /** How many wait that lost their place before they were read. */
  unreadSize(): number;
  /** How many wait that are new and have been read. */
  recentSize(): number;
  /** How many wait that have sent no request for long. */
  silentSize(): number;
}

type Limits = Pick<HttpLimits, 'strangerNewMs' | 'strangerLivelyMs'>;

interface Stranger {
  socket: Socket;
  newUntil: number;
  livelyUntil: number;
  queue?: Queue | undefined;
  /** Its neighbours in that queue. */
  before?: Stranger | undefined;
  after?: Stranger | undefined;
}

/** @param now milliseconds from any origin */
export function createWaitingStrangers(limits: Limits, now: () => number): WaitingStrangers {
  const strangers = new WeakMap<Socket, Stranger>();
  const read = new Set<Socket>();
  const [unread, recent, lively, silent] = [createQueue(), createQueue(), createQueue(), createQueue()];
  // Every second place goes to an unread connection. The queues take turns in the others, so that none waits for ever.
  const rest = [recent.takeLast, lively.take, recent.take, silent.take];
  const order = rest.flatMap((take, i) => [i % 2 === 0 ? unread.take : unread.takeLast, take]);
  let orderIndex = 0;
  const size = () => unread.size() + recent.size() + lively.size() + silent.size();
  const known = (socket: Socket) => strangers.get(socket) as Stranger;

  return {
    isNew(socket) {
      strangers.set(socket, { socket, newUntil: now() + limits.strangerNewMs, livelyUntil: 0 });
    },
    hasAsked(socket) {
      known(socket).livelyUntil = now() + limits.strangerLivelyMs;
    },
    add(socket, wasRead) {
      const stranger = known(socket);
      const usual = now() < stranger.newUntil ? recent : now() < stranger.livelyUntil ? lively : silent;
      stranger.queue = wasRead ? usual : unread;
      if (wasRead) read.add(socket);
      stranger.queue.add(stranger);
    },
    take() {
      if (size() === 0) return undefined;
      for (;;) {
        const stranger = order[orderIndex++ % order.length]?.();
        if (stranger === undefined) continue;
        stranger.queue = undefined;
        return stranger.socket;
      }
    },
    forget(socket) {
      const stranger = known(socket);
      read.delete(socket);
      stranger.queue?.delete(stranger);
      stranger.queue = undefined;
    },
    oldestRead: () => read.values().next().value,
    size,
    unreadSize: unread.size,
    recentSize: recent.size,
    silentSize: silent.size,
  };
}

interface Queue {
  add(stranger: Stranger): void;
  delete(stranger: Stranger): void;
  /** Takes the connection that has waited longest. */
  take(): Stranger | undefined;
  takeLast(): Stranger | undefined;
  size(): number;
}

/** A linked list. To take the first element of a Set is slow, and an iterator that is kept would keep closed sockets in memory. */
function createQueue(): Queue {
  let first: Stranger | undefined;
  let last: Stranger | undefined;
  let size = 0;

  function remove(stranger: Stranger | undefined): Stranger | undefined {
    if (stranger === undefined) return undefined;
    const { before, after } = stranger;
    if (before === undefined) first = after;
    else before.after = after;
    if (after === undefined) last = before;
    else after.before = before;
    stranger.before = undefined;
    stranger.after = undefined;
    size--;
    return stranger;
  }

  return {
    add(stranger) {
      stranger.before = last;
      if (last === undefined) first = stranger;
      else last.after = stranger;
      last = stranger;
      size++;
    },
    delete: remove,
    take: () => remove(first),
    takeLast: () => remove(last),
    size: () => size,
  };
}
