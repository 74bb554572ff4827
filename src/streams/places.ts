/** Runs work at a bounded number of places; further work waits for one, in the order in which it came. */
export function createPlaces(count: number): <Result>(work: () => Promise<Result>) => Promise<Result> {
  const waiting: (() => void)[] = [];
  let free = count;
  return async (work) => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => void waiting.push(resolve));
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
