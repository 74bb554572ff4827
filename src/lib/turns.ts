/** Resolves in the next turn of the event loop, when all that has arrived meanwhile has been served. */
export const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Shares the event loop between long works and all that is short: each works for some ms, and then waits for its turn. */
export interface Turns {
  /**
   * To be awaited again and again by whoever works long, before each step of a few ms. It comes back at once as long as this
   * turn of the event loop has time left for long works. Otherwise it comes back in a later turn; those that wait go on in
   * the order in which they came.
   */
  rest(): Promise<void>;
}

/**
 * All works that share one of these get `turnMs` of a turn together, however many they are. At the end of each turn one of
 * those that wait goes on, and the time of the next turn counts from there: so two of them never add up to a stall.
 */
export function createTurns({ turnMs, now = () => performance.now() }: { turnMs: number; now?: () => number }): Turns {
  const waiting: (() => void)[] = [];
  let beganAt = 0;
  /** Whether the end of this turn has been asked for. */
  let isTurnDue = false;

  function turn(): void {
    isTurnDue = false;
    const next = waiting.shift();
    if (next === undefined) return;
    begin();
    next();
  }

  function begin(): void {
    beganAt = now();
    isTurnDue = true;
    setImmediate(turn);
  }

  return {
    async rest() {
      if (!isTurnDue) begin();
      else if (now() - beganAt >= turnMs) await new Promise<void>((resolve) => waiting.push(resolve));
    },
  };
}
