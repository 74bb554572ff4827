import { createRotation } from './rotation.ts';

/** Does the work of many owners, a bounded amount of it in each turn of the event loop. */
export interface FairTurns {
  /**
   * Does the work at once, or in a later turn of the event loop when this turn's amount is used up. Waiting owners are
   * served in turn; the works of one owner keep their order.
   * @param amount how much of a turn's amount the work uses, at least 0
   */
  run(owner: string, amount: number, work: () => void): void;
}

/**
 * A flood of one owner uses an idle process fully, but only a bounded part of a busy one.
 * @param amountPerTurn a turn begins works until this amount is reached; the last work may go beyond it
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
