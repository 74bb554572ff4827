/**
 * Who may take a connection of a pool that many organizations share. An organization may hold as many connections as are
 * still free, so that there is one left for whoever comes next; beyond that its requests wait. A connection that comes free
 * goes to the waiting organizations in turn.
 */
import { TooManyWaiting } from './failures.ts';

export interface Shares {
  /**
   * Resolves when the organization may take a connection.
   * @returns what to call when the connection has been given back
   * @throws TooManyWaiting when too many requests of it wait already, or after `waitMsMax`
   */
  take(organizationId: string): Promise<() => void>;
  /** Requests that wait. */
  waitingCount(): number;
}

interface Options {
  /** Connections of the pool. */
  connectionsMax: number;
  /** Requests of one organization that may wait at the same time. */
  waitingPerOrganizationMax: number;
  /** Longest wait of a request. */
  waitMsMax: number;
}

interface Waiter {
  go(give: () => void): void;
}

export function createShares({ connectionsMax, waitingPerOrganizationMax, waitMsMax }: Options): Shares {
  const held = new Map<string, number>();
  /** In the order in which organizations are served next; each with its requests, first come first. */
  const waiting = new Map<string, Set<Waiter>>();
  let free = connectionsMax;

  const mayTake = (organizationId: string) => (held.get(organizationId) ?? 0) < free;

  function hold(organizationId: string): () => void {
    free--;
    held.set(organizationId, (held.get(organizationId) ?? 0) + 1);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      free++;
      const left = (held.get(organizationId) as number) - 1;
      if (left === 0) held.delete(organizationId);
      else held.set(organizationId, left);
      serveNext();
    };
  }

  function serveNext(): void {
    for (;;) {
      const next = [...waiting.keys()].find(mayTake);
      if (next === undefined) return;
      const queue = waiting.get(next) as Set<Waiter>;
      const [first] = queue as unknown as [Waiter];
      leave(next, first);
      // To the end: the others come first now.
      if (waiting.delete(next) && queue.size > 0) waiting.set(next, queue);
      first.go(hold(next));
    }
  }

  function leave(organizationId: string, waiter: Waiter): void {
    const queue = waiting.get(organizationId);
    queue?.delete(waiter);
    if (queue?.size === 0) waiting.delete(organizationId);
  }

  function wait(organizationId: string): Promise<() => void> {
    const queue = waiting.get(organizationId) ?? new Set();
    if (queue.size >= waitingPerOrganizationMax) {
      throw new TooManyWaiting(
        `More than ${waitingPerOrganizationMax} requests of this organization wait for the database`,
      );
    }
    waiting.set(organizationId, queue);
    return new Promise((resolve, reject) => {
      const waiter = {
        go(give: () => void) {
          clearTimeout(timer);
          resolve(give);
        },
      };
      const timer = setTimeout(() => {
        leave(organizationId, waiter);
        reject(
          new TooManyWaiting(
            `The requests of this organization have kept its share of the database for ${waitMsMax} ms`,
          ),
        );
      }, waitMsMax);
      queue.add(waiter);
    });
  }

  return {
    take: async (organizationId) =>
      // Who comes later does not overtake those of its own organization.
      mayTake(organizationId) && !waiting.has(organizationId) ? hold(organizationId) : wait(organizationId),
    waitingCount: () => [...waiting.values()].reduce((sum, queue) => sum + queue.size, 0),
  };
}
