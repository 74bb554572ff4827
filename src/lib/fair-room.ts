/*
 * Room that many owners share, in units of whatever is scarce. An owner may hold as many units as are still free, so that
 * there is room for whoever comes next; beyond that its requests wait. What comes free goes to the waiting owners in turn.
 */
export interface FairRoom {
  /**
   * Resolves when the owner may have so many units; more than there are in all count as all.
   * @returns what gives them back; to be called once, calls beyond it do nothing
   * @throws what `refuse` makes, when too many requests of the owner wait already or this one has waited for `waitMsMax`;
   * the reason of the signal, when that ends the wait
   */
  take(owner: string, units: number, signal?: AbortSignal): Promise<() => void>;
  /** How many requests of each owner wait, all together, and the units that are held. */
  waiting(): [owner: string, count: number][];
  waitingCount(): number;
  heldUnits(): number;
}

export interface FairRoomOptions {
  unitsMax: number;
  /** Requests of one owner that may wait at the same time. */
  waitingPerOwnerMax: number;
  /** Longest wait of a request. */
  waitMsMax: number;
  /** Makes the error of a request that there is no room for. */
  refuse(why: 'many' | 'late'): Error;
  /** Told of each request that begins to wait. */
  onWait?: ((owner: string) => void) | undefined;
}

interface Waiter {
  units: number;
  go(give: () => void): void;
}

export function createFairRoom({ unitsMax, waitingPerOwnerMax, waitMsMax, refuse, onWait }: FairRoomOptions): FairRoom {
  const held = new Map<string, number>();
  /** In the order in which owners are served next; each with its requests, first come first. */
  const waiting = new Map<string, Set<Waiter>>();
  let free = unitsMax;

  const mayTake = (owner: string, units: number) => (held.get(owner) ?? 0) + units <= free;

  function hold(owner: string, units: number): () => void {
    free -= units;
    held.set(owner, (held.get(owner) ?? 0) + units);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      free += units;
      held.set(owner, (held.get(owner) as number) - units);
      if (held.get(owner) === 0) held.delete(owner);
      serveNext();
    };
  }

  function serveNext(): void {
    for (;;) {
      const next = [...waiting].find(([owner, [first]]) => mayTake(owner, (first as Waiter).units));
      if (next === undefined) return;
      const [owner, queue] = next;
      const [first] = queue as unknown as [Waiter];
      leave(owner, first);
      // To the end: the others come first now.
      if (waiting.delete(owner) && queue.size > 0) waiting.set(owner, queue);
      first.go(hold(owner, first.units));
    }
  }

  function leave(owner: string, waiter: Waiter): void {
    const queue = waiting.get(owner);
    queue?.delete(waiter);
    if (queue?.size === 0) waiting.delete(owner);
  }

  function wait(owner: string, units: number, signal: AbortSignal | undefined): Promise<() => void> {
    const queue = waiting.get(owner) ?? new Set();
    if (queue.size >= waitingPerOwnerMax) throw refuse('many');
    waiting.set(owner, queue);
    return new Promise((resolve, reject) => {
      const giveUp = (error: Error) => {
        waiter.end();
        leave(owner, waiter);
        // What it could not have, somebody behind it may.
        serveNext();
        reject(error);
      };
      const late = setTimeout(() => giveUp(refuse('late')), waitMsMax);
      const onAbort = () => giveUp(signal?.reason);
      const waiter = {
        units,
        end() {
          clearTimeout(late);
          signal?.removeEventListener('abort', onAbort);
        },
        go(give: () => void) {
          waiter.end();
          resolve(give);
        },
      };
      signal?.addEventListener('abort', onAbort);
      queue.add(waiter);
      onWait?.(owner);
    });
  }

  return {
    async take(owner, wanted, signal) {
      signal?.throwIfAborted();
      const units = Math.min(wanted, unitsMax);
      // Who comes later does not overtake those of its own owner.
      if (mayTake(owner, units) && !waiting.has(owner)) return hold(owner, units);
      return unlessGone(await wait(owner, units, signal), signal);
    },
    waiting: () => [...waiting].map(([owner, queue]) => [owner, queue.size]),
    waitingCount: () => [...waiting.values()].reduce((sum, queue) => sum + queue.size, 0),
    heldUnits: () => unitsMax - free,
  };
}

/** Who ends in the moment in which units are given to it does not keep them: one end of many makes room for the next of them. */
function unlessGone(give: () => void, signal: AbortSignal | undefined): () => void {
  if (!signal?.aborted) return give;
  give();
  throw signal.reason;
}
