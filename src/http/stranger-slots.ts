import type { Socket } from 'node:net';
import type { HttpLimits } from './limits.ts';
import { createWaitingStrangers, type WaitingStrangers } from './waiting-strangers.ts';

/** Which of the connections without a known key are read. */
export interface StrangerSlots {
  /** A new one. It is read at once; if need be the one makes room that came longest ago. */
  add(socket: Socket): void;
  /** It is closed, or a known key has come on it. @returns whether it was one of them */
  delete(socket: Socket): boolean;
  has(socket: Socket): boolean;
  count(): number;
  /** It has asked for something, so that it is likely to ask for more. */
  hasAsked(socket: Socket): void;
  isRead(socket: Socket): boolean;
  /** Those that are read; the new ones stand behind the others, the newest last. */
  read(): Socket[];
  oldest(): Socket | undefined;
  /** The oldest that has been read; undefined while all that wait have only just come. */
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
  /** Reading has ended early in this turn, so that some of those that are read have not been looked at. */
  isCutShort?(): boolean;
  /** Whether a connection is to be read has changed. */
  onChange(socket: Socket): void;
  /** It has been read, and waits again. */
  onLooked?(socket: Socket): unknown;
  /** Milliseconds from any origin. */
  now(): number;
}

/** When a connection was let in: turns that had passed, bytes that it had brought, and whether it is one of the newest. */
interface Since {
  turns: number;
  bytes: number;
  isNew: boolean;
}

/**
 * Node parses all that has come on every connection that it reads, in one turn of the event loop and before any code of the
 * server runs: 60 kB of header lines take 1.5 ms, and a thousand connections bring them at once. So only `strangersReadMax`
 * connections without a known key are read at a time. What comes on others waits in the kernel.
 *
 * While there are more, the newest are read, up to half of the places: what they ask for comes a moment after them. The other
 * places go round. A step is taken in each turn while one waits that made room for a newer one before it was read, or one has
 * just asked for something, and else every `strangerLookMs`, for few of those that are silent; more often where they are so many
 * that a round of all would take longer than `strangerRoundMs`.
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
  /** The newest have half of the room and no more, so that a flood of them keeps nobody else from being read. */
  function makeRoomForNew(): void {
    const newOnes = places(true);
    const some = newOnes.length >= half ? newOnes : places(false);
    letOut(some.find(wasRead) ?? (some[0] as Socket));
  }

  function step(looksMax: number): number {
    turns.next();
    const count = Math.min(half, waiting.size(), looksMax);
    // The newest keep their places unless others wait that have not been read at all.
    const some = waiting.unreadSize() > 0 ? read() : places(false);
    const gone = some.filter(wasRead).slice(0, count);
    for (const socket of gone) letOut(socket);
    fill();
    return gone.length;
  }

  return {
    add(socket) {
      strangers.add(socket);
      waiting.isNew(socket);
      // It does not wait until each of those has been read that came just before: one in a turn, where they bring much.
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

/** Counts turns of the event loop in which all that are read were looked at. */
function createTurns(isCutShort: () => boolean): { count(): number; next(): void } {
  let count = 0;
  let cutShort = 0;
  return {
    count: () => count,
    next() {
      // In one that ended early some have not been looked at. Where all end so, they are by and by.
      if (!isCutShort() || ++cutShort % turnsCutShortMax === 0) count++;
    },
  };
}

/** A connection that came while connections were read is looked at in the next turn of the event loop. */
const turnsMin = 2;
/** Of so many turns that have ended early, one counts all the same. */
const turnsCutShortMax = 16;

interface PaceOptions {
  limits: SlotLimits;
  /** @returns how many connections it has let in, at most so many */
  step(looksMax: number): number;
  waiting: WaitingStrangers;
}

/** Takes steps while connections wait: one in each turn of the event loop in haste, and else one at every look. */
function createPace({ limits, step, waiting }: PaceOptions): { goOn(): void; hurry(): void } {
  /** Connections that are still looked at in haste. */
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
    // Each second one that is let in is one of the unread.
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
      // So that all silent ones have been looked at after `strangerRoundMs`.
      const roundMs = (limits.strangerRoundMs * limits.strangerSilentLooksMax) / waiting.silentSize();
      // And the new ones several times while they are new.
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
