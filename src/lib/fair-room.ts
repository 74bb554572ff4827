/*
 * A semaphore that many owners share fairly. Its units count whatever is scarce, such as bytes. With a
 * new request an owner may hold at most as many units as were free before it, so that the next owner finds room. Beyond
 * that its requests wait. Units that come free go to the waiting owners in turn.
 */
export interface FairRoom {
  /**
   * Waits until the owner may hold so many units, and takes them. A request for more than `unitsMax` gets `unitsMax`.
   * @returns a function that gives the units back; further calls of it do nothing
   * @throws the error of `refuse`, when too many requests of the owner wait already or this one has waited for
   * `waitMsMax`; the reason of the signal, when that is aborted
   */
  take(owner: string, units: number, signal?: AbortSignal): Promise<() => void>;
  /** Like `take`, but never waits: undefined when there is no room now, or other requests of the owner wait already. */
  tryTake(owner: string, units: number): (() => void) | undefined;
  /** How many requests of each owner wait. */
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
  /** Makes the error of a request that is refused: too `many` of its owner wait, or it has waited too long (`late`). */
  refuse(why: 'many' | 'late'): Error;
  /** Called for each request that begins to wait. */
  onWait?: ((owner: string) => void) | undefined;
}

interface Waiter {
  units: number;
  go(give: () => void): void;
}

export function createFairRoom({ unitsMax, waitingPerOwnerMax, waitMsMax, refuse, onWait }: FairRoomOptions): FairRoom {
  const held = new Map<string, number>();
  /** Owners in the order in which they are served next, each with its requests in the order of arrival. */
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
      // The owner moves to the end: the others come first now.
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
        // A request behind it may need fewer units and fit now.
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
    // A new request does not overtake earlier requests of the same owner.
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

/** A waiter that gives up after `waitMsMax`, or when its signal is aborted. */
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

/**
 * Gives the units back at once when the signal was aborted in the moment in which they were granted. When many requests
 * end together, each passes its units to the next in this way.
 */
function unlessGone(give: () => void, signal: AbortSignal | undefined): () => void {
  if (!signal?.aborted) return give;
  give();
  throw signal.reason;
}
