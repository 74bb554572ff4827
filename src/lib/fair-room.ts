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
  /** The same where there is room at once, and nobody of the owner waits for it; else undefined. */
  tryTake(owner: string, units: number): (() => void) | undefined;
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
        leave(owner, waiter);
        // What it could not have, somebody behind it may.
        serveNext();
        reject(error);
      };
      const waiter = waiterFor(units, { signal, waitMsMax, late: () => refuse('late') }, resolve, giveUp);
      queue.add(waiter);
      onWait?.(owner);
    });
  }

  function tryTake(owner: string, wanted: number): (() => void) | undefined {
    const units = Math.min(wanted, unitsMax);
    // Who comes later does not overtake those of its own owner.
    return mayTake(owner, units) && !waiting.has(owner) ? hold(owner, units) : undefined;
  }

  return {
    async take(owner, wanted, signal) {
      signal?.throwIfAborted();
      const give = tryTake(owner, wanted);
      if (give !== undefined) return give;
      return unlessGone(await wait(owner, Math.min(wanted, unitsMax), signal), signal);
    },
    tryTake,
    waiting: () => [...waiting].map(([owner, queue]) => [owner, queue.size]),
    waitingCount: () => [...waiting.values()].reduce((sum, queue) => sum + queue.size, 0),
    heldUnits: () => unitsMax - free,
  };
}

/** One that gives up in time, or when its signal is aborted. */
function waiterFor(
  units: number,
  bounds: { signal: AbortSignal | undefined; waitMsMax: number; late: () => Error },
  resolve: (give: () => void) => void,
  giveUp: (error: Error) => void,
): Waiter {
  const { signal, waitMsMax, late } = bounds;
  const end = () => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  };
  const giveUpFor = (error: Error) => {
    end();
    giveUp(error);
  };
  const timer = setTimeout(() => giveUpFor(late()), waitMsMax);
  const onAbort = () => giveUpFor(signal?.reason);
  signal?.addEventListener('abort', onAbort);
  return {
    units,
    go(give) {
      end();
      resolve(give);
    },
  };
}

/** Who ends in the moment in which units are given to it does not keep them: one end of many makes room for the next of them. */
function unlessGone(give: () => void, signal: AbortSignal | undefined): () => void {
  if (!signal?.aborted) return give;
  give();
  throw signal.reason;
}
