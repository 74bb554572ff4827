/** The time that the server goes by: the true one, moved. It runs on from wherever it was put. */
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
