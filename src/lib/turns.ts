import { createRotation } from './rotation.ts';

/** Resolves in the next turn of the event loop, when all that has arrived meanwhile has been served. */
export const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Shares the event loop between long works and all that is short. */
export interface Turns {
  /**
   * To be awaited again and again by whoever works long, before each step of a few ms. It comes back at once while the turn
   * of the event loop is that of this work and has time left. Otherwise it comes back in a later turn: owners that wait go
   * on in turn, and the works of one in the order in which they came.
   * @param work the same object each time
   */
  rest(owner: string, work: object): Promise<void>;
}

/** Each turn of the event loop is that of one work, for `turnMs`: so the steps of several never add up to a stall. */
export function createTurns({ turnMs, now = () => performance.now() }: { turnMs: number; now?: () => number }): Turns {
  const waiting = createRotation<{ work: object; go: () => void }>();
  /** Whose turn it is; undefined when nobody has worked in it yet. */
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
