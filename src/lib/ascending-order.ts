/** Elements that are merged between two calls of `rest`: about a millisecond of work. */
const stepLength = 50_000;

/**
 * Sorts positions so that their elements ascend. The sort is stable: of equal elements the earlier stays first. It is a
 * merge sort of the runs that ascend already: elements in order cost one comparison each, and a few out of place cost
 * little more. `Array.sort` would block the event loop for 1.7 s with the 1.6 million points of one large chunk.
 * @param isAfter whether the element at one position must come after the element at a later position
 * @param rest is awaited after every `stepLength` elements, so that other work gets the event loop
 * @returns positions of elements, in ascending order of the elements
 */
export async function ascendingOrder(
  length: number,
  isAfter: (position: number, later: number) => boolean,
  rest: () => Promise<void>,
): Promise<Uint32Array> {
  let order = Uint32Array.from({ length }, (_, i) => i);
  let starts = runsOf(length, isAfter);
  let merged = new Uint32Array(length);
  while (starts.length > 1) {
    const nextStarts: number[] = [];
    let sinceRest = 0;
    for (let run = 0; run < starts.length; run += 2) {
      const from = starts[run] as number;
      const middle = starts[run + 1] ?? length;
      const end = starts[run + 2] ?? length;
      nextStarts.push(from);
      for (let left = from, right = middle, at = from; at < end; ) {
        const stop = Math.min(end, at + stepLength - sinceRest);
        sinceRest += stop - at;
        [left, right] = mergeStep({ order, merged, middle, end, isAfter }, { left, right, at, stop });
        at = stop;
        if (sinceRest >= stepLength) {
          await rest();
          sinceRest = 0;
        }
      }
    }
    [order, merged] = [merged, order];
    starts = nextStarts;
  }
  return order;
}

/** The position at which each ascending run begins. */
function runsOf(length: number, isAfter: (position: number, later: number) => boolean): number[] {
  const starts = length > 0 ? [0] : [];
  for (let i = 1; i < length; i++) if (isAfter(i - 1, i)) starts.push(i);
  return starts;
}

interface TwoRuns {
  order: Uint32Array;
  merged: Uint32Array;
  /** Where the second run begins and ends; the first ends where it begins. */
  middle: number;
  end: number;
  isAfter: (position: number, later: number) => boolean;
}

/**
 * Fills `merged` from `at` up to `stop` with the next elements of two runs.
 * @returns the next unused position in each run
 */
function mergeStep(
  { order, merged, middle, end, isAfter }: TwoRuns,
  { left, right, at, stop }: { left: number; right: number; at: number; stop: number },
): [number, number] {
  let [i, j] = [left, right];
  for (let to = at; to < stop; to++) {
    const isRight = i >= middle || (j < end && isAfter(order[i] as number, order[j] as number));
    merged[to] = isRight ? (order[j++] as number) : (order[i++] as number);
  }
  return [i, j];
}
