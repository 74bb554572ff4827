import { createRotation } from './rotation.ts';

/** Runs work at a bounded number of places. Further work waits for a place; its owners take turns. */
export function createPlaces(count: number): <Result>(owner: string, work: () => Promise<Result>) => Promise<Result> {
  const waiting = createRotation<() => void>();
  let free = count;
  return async (owner, work) => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(owner, resolve));
    try {
      return await work();
    } finally {
      // The place goes to the next work that waits.
      const next = waiting.shift();
      if (next === undefined) free++;
      else next();
    }
  };
}
