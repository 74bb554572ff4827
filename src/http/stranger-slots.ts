import type { Socket } from 'node:net';
import type { HttpLimits } from './limits.ts';
import { createWaitingStrangers, type WaitingStrangers } from './waiting-strangers.ts';

/** Decides which of the connections without a known key (strangers) are read. */
export interface StrangerSlots {
  /** Takes in a new connection and reads it at once. When all places are taken, another connection gives up its place. */
  add(socket: Socket): void;
  /** The connection is closed, or a known key has come on it. @returns whether it was a stranger */
  delete(socket: Socket): boolean;
  has(socket: Socket): boolean;
  count(): number;
  /** A request of this connection has been answered, so it is likely to send another soon. */
  hasAsked(socket: Socket): void;
  isRead(socket: Socket): boolean;
  /** The connections that are read; the new ones stand behind the others, the newest last. */
  read(): Socket[];
  oldest(): Socket | undefined;
  /** The stranger to close when there are too many: the one that was read first. Undefined while those that wait have all not been read. */
  toClose(): Socket | undefined;
}

export type SlotLimits = Pick<
  HttpLimits,
  | 'strangersReadMax'
  | 'strangerLookMs'
  | 'strangerRoundMs'
  | 'strangerNewMs'
  | 'strangerLivelyMs'
  | 'strangerHasteMax'
  | 'strangerSilentLooksMax'
>;

interface Options {
  limits: SlotLimits;
  /** Whether reading has ended early in this turn: then some of the connections that are read have not been looked at. */
  isCutShort?(): boolean;
  /** The connection has got a place or lost it. */
  onChange(socket: Socket): void;
  /** The connection has been read and has lost its place. */
  onLooked?(socket: Socket): unknown;
  /** Milliseconds from any origin. */
  now(): number;
}

/** When a connection got its place: how many turns had passed and bytes it had brought; and whether it is one of the newest. */
interface Since {
  turns: number;
  bytes: number;
  isNew: boolean;
}

/**
 * In one turn of the event loop Node parses everything that has come on every connection that it reads, before any code of the
 * server runs. 60 kB of header lines take 1.5 ms, and a thousand connections can bring them at once. So only `strangersReadMax`
 * connections without a known key are read at a time: they have a place. What comes on the others waits in the kernel.
 *
 * While there are more, up to half of the places belong to the newest connections, because a request comes a moment after its
 * connection. The others take turns in the other places. A step exchanges connections that have been read for some that wait:
 * - In each turn of the event loop, while a connection waits that lost its place before it was read, or shortly after one was answered.
 * - Otherwise every `strangerLookMs`, with few silent connections in each step. It is more often where a round through all silent
 *   connections would take longer than `strangerRoundMs`.
 */
export function createStrangerSlots({ limits, onChange, now, ...callbacks }: Options): StrangerSlots {
  const { strangersReadMax } = limits;
  const { isCutShort = () => false, onLooked = () => {} } = callbacks;
  const half = Math.ceil(strangersReadMax / 2);
  const strangers = new Set<Socket>();
  const oldest = (): Socket | undefined => strangers.values().next().value;
  const waiting = createWaitingStrangers(limits, now);
  const slots = new Map<Socket, Since>();
  const turns = createTurns(isCutShort);
  const pace = createPace({ limits, step, waiting });

  function letIn(socket: Socket, isNew: boolean): void {
    slots.set(socket, { turns: turns.count(), bytes: socket.bytesRead, isNew });
    onChange(socket);
  }

  function fill(): void {
    while (slots.size < strangersReadMax && waiting.size() > 0) letIn(waiting.take() as Socket, false);
  }

  const wasRead = (socket: Socket) => wasLookedAt(slots.get(socket) as Since, socket, turns.count());

  function letOut(socket: Socket): void {
    const isLooked = wasRead(socket);
    waiting.add(socket, isLooked);
    slots.delete(socket);
    onChange(socket);
    if (isLooked) onLooked(socket);
  }

  const places = (isNew: boolean) => [...slots.keys()].filter((socket) => slots.get(socket)?.isNew === isNew);
  const read = () => [...places(false), ...places(true)];
  /** New connections have half of the places and no more, so that a flood of them does not keep the others from being read. */
  function makeRoomForNew(): void {
    const newOnes = places(true);
    const candidates = newOnes.length >= half ? newOnes : places(false);
    letOut(candidates.find(wasRead) ?? (candidates[0] as Socket));
  }

  function step(looksMax: number): number {
    turns.next();
    const count = Math.min(half, waiting.size(), looksMax);
    // The newest keep their places, unless a connection waits that has not been read at all.
    const candidates = waiting.unreadSize() > 0 ? read() : places(false);
    const gone = candidates.filter(wasRead).slice(0, count);
    for (const socket of gone) letOut(socket);
    fill();
    return gone.length;
  }

  return {
    add(socket) {
      strangers.add(socket);
      waiting.isNew(socket);
      // It does not wait until those that came just before it have been read: where they bring much, that is one in each turn.
      if (slots.size >= strangersReadMax) makeRoomForNew();
      letIn(socket, true);
      for (const older of places(true).slice(0, -half)) (slots.get(older) as Since).isNew = false;
      pace.goOn();
    },
    delete(socket) {
      if (!strangers.delete(socket)) return false;
      waiting.forget(socket);
      slots.delete(socket);
      fill();
      pace.goOn();
      return true;
    },
    has: (socket) => strangers.has(socket),
    count: () => strangers.size,
    hasAsked(socket) {
      if (!strangers.has(socket)) return;
      waiting.hasAsked(socket);
      pace.hurry();
    },
    isRead: (socket) => slots.has(socket),
    read,
    oldest,
    toClose: () => waiting.oldestRead() ?? (waiting.size() === 0 ? oldest() : undefined),
  };
}

const wasLookedAt = (since: Since, { bytesRead }: Socket, turns: number) =>
  turns - since.turns >= turnsMin || bytesRead !== since.bytes;

/** Counts turns of the event loop in which Node has looked at all connections that are read. */
function createTurns(isCutShort: () => boolean): { count(): number; next(): void } {
  let count = 0;
  let cutShort = 0;
  return {
    count: () => count,
    next() {
      // In a turn that was cut short some have not been looked at. Where every turn is cut short, they still are after a few.
      if (!isCutShort() || ++cutShort % turnsCutShortMax === 0) count++;
    },
  };
}

/** Turns after which a connection counts as looked at: it may have got its place in the middle of the first. */
const turnsMin = 2;
/** Of so many turns that were cut short, one counts all the same. */
const turnsCutShortMax = 16;

interface PaceOptions {
  limits: SlotLimits;
  /** Exchanges at most `looksMax` connections. @returns how many it has exchanged */
  step(looksMax: number): number;
  waiting: WaitingStrangers;
}

/** Takes steps while connections wait: in haste one in each turn of the event loop, otherwise one whenever a timer fires. */
function createPace({ limits, step, waiting }: PaceOptions): { goOn(): void; hurry(): void } {
  /** How many connections are still to be exchanged in haste. */
  let haste = 0;
  let isImmediate = false;
  let isTimed = false;

  function onTimer(): void {
    isTimed = false;
    if (isImmediate) return;
    step(waiting.size() - waiting.silentSize() + limits.strangerSilentLooksMax);
    goOn();
  }

  function onImmediate(): void {
    isImmediate = false;
    // Twice as many: only every second connection that gets a place is an unread one.
    haste = Math.max(0, haste - step(2 * waiting.unreadSize() + haste));
    goOn();
  }

  function goOn(): void {
    if (waiting.size() === 0 || isImmediate) return;
    if (waiting.unreadSize() > 0 || haste > 0) {
      isImmediate = true;
      setImmediate(onImmediate);
    } else if (!isTimed) {
      isTimed = true;
      // All silent connections have been read after `strangerRoundMs`.
      const roundMs = (limits.strangerRoundMs * limits.strangerSilentLooksMax) / waiting.silentSize();
      // New connections are read several times while they are new.
      const newMs = (limits.strangerNewMs * limits.strangersReadMax) / (20 * waiting.recentSize());
      setTimeout(onTimer, Math.max(1, Math.min(limits.strangerLookMs, roundMs, newMs))).unref();
    }
  }

  return {
    goOn,
    hurry() {
      haste = Math.min(limits.strangerHasteMax, waiting.size());
      goOn();
    },
  };
}
