import type { Socket } from 'node:net';
import type { HttpLimits } from './limits.ts';

/** Which of the connections without a known key are read. */
export interface StrangerSlots {
  /** A new one. It is read at once, or as soon as there is a slot for it. */
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

interface Stranger {
  newUntil: number;
  livelyUntil: number;
  /** Where it waits to be read. */
  queue?: Queue | undefined;
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
  const strangers = new Map<Socket, Stranger>();
  /** Each with the number of the step after which it was let in. */
  const slots = new Map<Socket, number>();
  const [fresh, recent, lively, others] = [createQueue(), createQueue(), createQueue(), createQueue()];
  // New ones have half of what is free, so that neither they nor the others wait for ever.
  const order = [fresh, recent, fresh, lively, fresh, others];
  let orderIndex = 0;
  let steps = 0;
  const waiting = () => strangers.size - slots.size;
  const isHasty = () => fresh.size() > 0;
  const usualLooks = () => recent.size() + lively.size() + limits.strangerSilentLooksMax;
  // So that all silent ones have been looked at after `strangerRoundMs`.
  const roundPauseMs = () => (limits.strangerRoundMs * limits.strangerSilentLooksMax) / others.size();
  const pauseMs = () => Math.max(1, Math.min(limits.strangerLookMs, roundPauseMs()));
  const pace = createPace({ limits, step, waiting, isHasty, usualLooks, pauseMs, isCutShort });

  function letIn(): void {
    while (slots.size < strangersReadMax && waiting() > 0) {
      const queue = order[orderIndex++ % order.length] as Queue;
      const socket = queue.take();
      if (socket === undefined) continue;
      (strangers.get(socket) as Stranger).queue = undefined;
      slots.set(socket, steps);
      onChange(socket);
    }
  }

  /** The longest read ones make room. None goes that the event loop has not looked at since it came. */
  function letOut(count: number): void {
    const time = now();
    for (const [socket, since] of [...slots].slice(0, count)) {
      if (steps - since < stepsMin) return;
      slots.delete(socket);
      const stranger = strangers.get(socket) as Stranger;
      wait(socket, stranger, time < stranger.newUntil ? recent : time < stranger.livelyUntil ? lively : others);
      onChange(socket);
    }
  }

  function step(looksMax: number): number {
    steps++;
    // Each second place is for a new one.
    const count = Math.min(Math.ceil(strangersReadMax / 2), waiting(), 2 * fresh.size() + looksMax);
    letOut(count);
    letIn();
    return count;
  }

  return {
    add(socket) {
      const time = now();
      const stranger = { newUntil: time + limits.strangerNewMs, livelyUntil: 0 };
      strangers.set(socket, stranger);
      wait(socket, stranger, fresh);
      letIn();
      pace.goOn();
    },
    delete(socket) {
      strangers.get(socket)?.queue?.delete(socket);
      if (!strangers.delete(socket)) return false;
      slots.delete(socket);
      letIn();
      pace.hurry();
      return true;
    },
    has: (socket) => strangers.has(socket),
    hasAsked(socket) {
      const stranger = strangers.get(socket);
      if (stranger === undefined) return;
      stranger.livelyUntil = now() + limits.strangerLivelyMs;
      pace.hurry();
    },
    isRead: (socket) => slots.has(socket),
    read: () => slots.keys(),
    oldest: () => strangers.keys().next().value,
  };
}

function wait(socket: Socket, stranger: Stranger, queue: Queue): void {
  stranger.queue = queue;
  queue.add(socket);
}

/** A connection that came while connections were read is looked at in the next turn of the event loop. */
const stepsMin = 2;

interface PaceOptions {
  limits: SlotLimits;
  /** @returns how many connections it has let in, about */
  step(looksMax: number): number;
  waiting(): number;
  isHasty(): boolean;
  isCutShort(): boolean;
  /** Connections to look at when nobody is in haste. */
  usualLooks(): number;
  /** Until the next step then. */
  pauseMs(): number;
}

/** Takes steps while connections wait: one in each turn of the event loop in haste, and else one at every look. */
function createPace({ limits, step, waiting, isHasty, usualLooks, pauseMs, isCutShort }: PaceOptions): {
  goOn(): void;
  hurry(): void;
} {
  /** Connections that are still looked at in haste. */
  let haste = 0;
  let isImmediate = false;
  let turnsCutShort = 0;
  let isTimed = false;

  function onTimer(): void {
    isTimed = false;
    if (isImmediate) return;
    step(usualLooks());
    goOn();
  }

  function onImmediate(): void {
    isImmediate = false;
    // Each read may end a turn. Those that are read for others keep nobody waiting for ever.
    if (isCutShort() && ++turnsCutShort < limits.strangersReadMax) {
      goOn();
      return;
    }
    turnsCutShort = 0;
    haste = Math.max(0, haste - step(haste));
    goOn();
  }

  function goOn(): void {
    if (waiting() === 0 || isImmediate) return;
    if (isHasty() || haste > 0) {
      isImmediate = true;
      setImmediate(onImmediate);
    } else if (!isTimed) {
      isTimed = true;
      setTimeout(onTimer, pauseMs()).unref();
    }
  }

  return {
    goOn,
    hurry() {
      haste = Math.min(limits.strangerHasteMax, waiting());
      goOn();
    },
  };
}

interface Queue {
  add(socket: Socket): void;
  delete(socket: Socket): void;
  take(): Socket | undefined;
  size(): number;
}

function createQueue(): Queue {
  const sockets = new Set<Socket>();
  // A new iterator would look again at the places of all that have been taken.
  let next = sockets.values();
  return {
    add: (socket) => void sockets.add(socket),
    delete: (socket) => void sockets.delete(socket),
    take() {
      if (sockets.size === 0) return undefined;
      let { value, done } = next.next();
      if (done) {
        next = sockets.values();
        value = next.next().value;
      }
      sockets.delete(value as Socket);
      return value;
    },
    size: () => sockets.size,
  };
}
