/** Begins what strangers ask for, some of it in each turn of the event loop, in the order in which it came. */
export interface StrangersQueue {
  push(begin: () => void): void;
}

/**
 * A flood of requests without a known key takes what it likes of a process that has nothing else to do, and a bounded part of
 * one that has: in a turn of the event loop everything of known keys is served, and `perTurnMax` of these.
 */
export function createStrangersQueue(perTurnMax: number): StrangersQueue {
  let waiting: (() => void)[] = [];
  let next = 0;
  let begun = 0;

  function turn(): void {
    begun = 0;
    while (begun < perTurnMax && next < waiting.length) {
      begun++;
      (waiting[next++] as () => void)();
    }
    if (next === waiting.length) {
      waiting = [];
      next = 0;
    }
    if (begun > 0) setImmediate(turn);
  }

  return {
    push(begin) {
      if (waiting.length === 0 && begun < perTurnMax) {
        begun++;
        if (begun === 1) setImmediate(turn);
        begin();
      } else {
        waiting.push(begin);
      }
    },
  };
}
