import { createRotation } from './rotation.ts';

/** Resolves in the next turn of the event loop, after the events that have arrived meanwhile. */
export const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Shares the event loop between long works and short requests. */
export interface Turns {
  /**
   * A long work awaits this before each step of a few ms. It resolves at once while the current turn of the event loop
   * belongs to this work and has time left. Otherwise it resolves in a later turn: waiting owners are served in turn,
   * and the works of one owner in order of arrival.
   * @param work the same object each time
   */
  rest(owner: string, work: object): Promise<void>;
}

/**
 * Gives each turn of the event loop to one work, for `turnMs`, so that the steps of several works never add up to a
 * stall.
 */
export function createTurns({ turnMs, now = () => performance.now() }: { turnMs: number; now?: () => number }): Turns {
  const waiting = createRotation<{ work: object; go: () => void }>();
  /** The work that has this turn; undefined when none has asked yet. */
  let working: object | undefined;
  let beganAt = 0;

  function turn(): void {
    working = undefined;
    const next = waiting.shift();
    if (next === undefined) return;
    begin(next.work);
    next.go();
  }

  function begin(work: object): void {
    working = work;
    beganAt = now();
    setImmediate(turn);
  }

  return {
    async rest(owner, work) {
      if (working === undefined) begin(work);
      else if (working !== work || now() - beganAt >= turnMs) {
        await new Promise<void>((go) => waiting.push(owner, { work, go }));
      }
    },
  };
}
