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
  /** It has asked for something, so that it is likely to ask for more. */
  hasAsked(socket: Socket): void;
  isRead(socket: Socket): boolean;
  /** Those that are read, the one that has been read longest first. */
  read(): Iterable<Socket>;
  oldest(): Socket | undefined;
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
  /** Milliseconds from any origin. */
  now(): number;
}

/** When a connection was let in: turns that had passed, bytes that it had brought, and whether it had just come. */
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
 * While there are more, the half that has been read longest makes room for as many others in each step. A step is taken in
 * each turn while a new connection waits, or one has just asked for something, and else every `strangerLookMs`, for few of
 * those that are silent; more often where they are so many that a round of all would take longer than `strangerRoundMs`.
 */
export function createStrangerSlots({ limits, onChange, now, isCutShort = () => false }: Options): StrangerSlots {
  const { strangersReadMax } = limits;
  const half = Math.ceil(strangersReadMax / 2);
  /** The oldest first. */
  const strangers = new Set<Socket>();
  const waiting = createWaitingStrangers(limits, now);
  const slots = new Map<Socket, Since>();
  let turns = 0;
  let turnsCutShort = 0;
  const pace = createPace({ limits, step, waiting });

  function letIn(socket: Socket, isNew: boolean): void {
    slots.set(socket, { turns, bytes: socket.bytesRead, isNew });
    onChange(socket);
  }

  function fill(): void {
    while (slots.size < strangersReadMax) {
      const socket = waiting.take();
      if (socket === undefined) return;
      letIn(socket, false);
    }
  }

  function wasRead(socket: Socket): boolean {
    const since = slots.get(socket) as Since;
    return turns - since.turns >= turnsMin || socket.bytesRead !== since.bytes;
  }

  function letOut(socket: Socket): void {
    waiting.add(socket, wasRead(socket));
    slots.delete(socket);
    onChange(socket);
  }

  /** New ones have half of the room at most, so that a flood of them keeps nobody else from being read. */
  function makeRoomForNew(): void {
    const newOnes = [...slots.keys()].filter((socket) => slots.get(socket)?.isNew);
    const isHalf = newOnes.length >= half;
    const some = isHalf ? newOnes : [...slots.keys()].filter((socket) => !newOnes.includes(socket));
    letOut(some.find(wasRead) ?? (some[0] as Socket));
  }

  function step(looksMax: number): number {
    // In one that ended early some of those that are read have not been looked at. Where all end so, they are by and by.
    if (!isCutShort() || ++turnsCutShort % turnsCutShortMax === 0) turns++;
    const count = Math.min(half, waiting.size(), looksMax);
    for (const socket of [...slots.keys()].filter(wasRead).slice(0, count)) letOut(socket);
    fill();
    return count;
  }

  return {
    add(socket) {
      strangers.add(socket);
      waiting.isNew(socket);
      // It does not wait until each of those has been read that came just before: one in a turn, where they bring much.
      if (slots.size >= strangersReadMax) makeRoomForNew();
      letIn(socket, true);
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
    hasAsked(socket) {
      if (!strangers.has(socket)) return;
      waiting.hasAsked(socket);
      pace.hurry();
    },
    isRead: (socket) => slots.has(socket),
    read: () => slots.keys(),
    oldest: () => strangers.values().next().value,
  };
}

/** A connection that came while connections were read is looked at in the next turn of the event loop. */
const turnsMin = 2;
/** Of so many turns that have ended early, one counts all the same. */
const turnsCutShortMax = 4;

interface PaceOptions {
  limits: SlotLimits;
  /** @returns how many connections it has let in, at most so many, about */
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
      const roundPauseMs = (limits.strangerRoundMs * limits.strangerSilentLooksMax) / waiting.silentSize();
      setTimeout(onTimer, Math.max(1, Math.min(limits.strangerLookMs, roundPauseMs))).unref();
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
