import { ApiError, unavailable } from '../errors.ts';
import type { HttpLimits } from './limits.ts';

/** Header of an answer that is the last on its connection, because a part of the request's body is left unread. */
export const lastAnswer = { connection: 'close' };

/** Limits the time in which a body must arrive. */
export interface BodyClock {
  /** Reports bytes that have arrived. */
  arrived(bytes: number): void;
  /** Between `wait` and `goOn` the body waits for room. That time does not count against its sender. */
  wait(): void;
  goOn(): void;
  stop(): void;
}

interface Options {
  limits: HttpLimits;
  /** Size of the room, for the error of a body that has waited too long for it. */
  roomBytesMax: number;
  /** Milliseconds from any origin. */
  now(): number;
  /**
   * Called once when a bound is exceeded: with 408 when its sender was too slow, 503 when it has waited too long for
   * room.
   */
  onLate(refusal: ApiError): void;
}

/** Starts the clock of a body. It bounds a pause in its arrival, its rate, its whole duration, and its wait for room. */
export function startBodyClock({ limits, roomBytesMax, now, onLate }: Options): BodyClock {
  const { bodyStallMsMax, bodyBytesPerSecondMin, bodyMsMax, roomWaitMsMax } = limits;
  let bytes = 0;
  let waitingSince: number | undefined;
  let waitedMs = 0;
  let lastAt = now();
  const begunAt = lastAt;
  const firstLookMs = Math.min(bodyStallMsMax, bodyMsMax);
  let timer = setTimeout(look, firstLookMs);

  /** The bounds that apply now: for each the milliseconds left, and the error when they are over. */
  function bounds(): [number, () => ApiError][] {
    if (waitingSince !== undefined) return [[waitingSince + roomWaitMsMax - now(), () => noRoom(roomBytesMax)]];
    const elapsed = now() - begunAt - waitedMs;
    const allowed = bodyStallMsMax + (bytes / bodyBytesPerSecondMin) * 1_000;
    return [
      [lastAt + bodyStallMsMax - now(), () => late(`Nothing of the body arrived for ${bodyStallMsMax} ms`)],
      [allowed - elapsed, () => late(`The body came with less than ${bodyBytesPerSecondMin} bytes a second`)],
      [bodyMsMax - elapsed, () => late(`The body has not arrived within ${bodyMsMax} ms`)],
    ];
  }

  function look(): void {
    const all = bounds();
    const passed = all.find(([left]) => left <= 0);
    if (passed !== undefined) onLate(passed[1]());
    else lookIn(1 + Math.min(...all.map(([left]) => left)));
  }

  function lookIn(ms: number): void {
    clearTimeout(timer);
    timer = setTimeout(look, ms);
  }

  return {
    arrived(count) {
      bytes += count;
      lastAt = now();
    },
    wait() {
      waitingSince = now();
      lookIn(roomWaitMsMax);
    },
    goOn() {
      lastAt = now();
      waitedMs += lastAt - (waitingSince ?? lastAt);
      waitingSince = undefined;
      lookIn(firstLookMs);
    },
    stop: () => clearTimeout(timer),
  };
}

const late = (what: string) => new ApiError('timeout', `${what}.`, lastAnswer);

const noRoom = (bytesMax: number) =>
  unavailable(
    `More than ${bytesMax} bytes of requests are under way (BODIES_LIMIT_BYTES); nothing was stored.`,
    lastAnswer,
  );
