import { createRotation } from './rotation.ts';

/** Work of many owners, of which a bounded amount is done in each turn of the event loop. */
export interface FairTurns {
  /**
   * Does it at once, or in a later turn when this one has had its amount. Owners that wait go in turn, and what one of them has
   * asked for is done in order.
   * @param amount what it takes of a turn, at least 0
   */
  run(owner: string, amount: number, work: () => void): void;
}

/**
 * A flood of one owner takes what it likes of a process that has nothing else to do, and a bounded part of one that has.
 * @param amountPerTurn work is begun in a turn until so much has been; the last may go beyond it
 */
export function createFairTurns(amountPerTurn: number): FairTurns {
  const waiting = createRotation<{ amount: number; work(): void }>();
  let done = 0;
  let isTurnDue = false;

  function perform(amount: number, work: () => void): void {
    done += amount;
    beginTurnLater();
    work();
  }

  function beginTurnLater(): void {
    if (isTurnDue) return;
    isTurnDue = true;
    setImmediate(turn);
  }

  function turn(): void {
    isTurnDue = false;
    done = 0;
    while (done < amountPerTurn) {
      const next = waiting.shift();
      if (next === undefined) return;
      perform(next.amount, next.work);
    }
  }

  return {
    run(owner, amount, work) {
      if (done < amountPerTurn && waiting.isEmpty) perform(amount, work);
      else waiting.push(owner, { amount, work });
    },
  };
}
