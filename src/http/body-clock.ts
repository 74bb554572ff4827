import { ApiError, unavailable } from '../errors.ts';
import type { HttpLimits } from './limits.ts';

/** Header of an answer after which the connection cannot be used: something of the body is left unread. */
export const lastAnswer = { connection: 'close' };

/** Watches over the time that a body takes. */
export interface BodyClock {
  /** Bytes of it have arrived. */
  arrived(bytes: number): void;
  /** It waits for room, and goes on again: that time is not the sender's. */
  wait(): void;
  goOn(): void;
  stop(): void;
}

interface Options {
  limits: HttpLimits;
  /** Names the room, for the sentence of a body that has waited too long for it. */
  roomBytesMax: number;
  /** Milliseconds from any origin. */
  now(): number;
  /** Called once when the body is late: 408 for what its sender did, 503 for what it waited. */
  onLate(refusal: ApiError): void;
}

/** Starts to watch a body: it must not stop arriving, nor drip, nor take for ever, nor wait too long for room. */
export function startBodyClock({ limits, roomBytesMax, now, onLate }: Options): BodyClock {
  const { bodyStallMsMax, bodyBytesPerSecondMin, bodyMsMax, roomWaitMsMax } = limits;
  let bytes = 0;
  let waitingSince: number | undefined;
  let waitedMs = 0;
  let lastAt = now();
  const begunAt = lastAt;
  const firstLookMs = Math.min(bodyStallMsMax, bodyMsMax);
  let timer = setTimeout(look, firstLookMs);

  /** Each bound with what is left of it, in milliseconds. */
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
