/** The clock of the server: the true time plus an offset. It runs on from the time that it is set to. */
export interface MovableClock {
  /** Milliseconds of Unix time. */
  now(): number;
  offsetMs(): number;
  moveTo(offsetMs: number): void;
}

export function createMovableClock(trueNow: () => number = Date.now): MovableClock {
  let offset = 0;
  return {
    now: () => trueNow() + offset,
    offsetMs: () => offset,
    moveTo(offsetMs) {
      offset = offsetMs;
    },
  };
}
