/**
 * Divides the connections of a pool among organizations. An organization may hold as many connections as are still
 * free, so that one is left for the next organization; its further requests wait. A connection that becomes free goes
 * to the waiting organizations in turn.
 */
import { createFairRoom } from '../lib/fair-room.ts';
import { TooManyWaiting } from './failures.ts';

export interface Shares {
  /**
   * Resolves when the organization may take a connection.
   * @returns a function to call when the connection has been given back
   * @throws TooManyWaiting when too many of its requests wait already, or after `waitMsMax`; the reason of the signal
   */
  take(organizationId: string, signal?: AbortSignal): Promise<() => void>;
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

export function createShares({ connectionsMax, waitingPerOrganizationMax, waitMsMax }: Options): Shares {
  const room = createFairRoom({
    unitsMax: connectionsMax,
    waitingPerOwnerMax: waitingPerOrganizationMax,
    waitMsMax,
    refuse: (why) =>
      new TooManyWaiting(
        why === 'many'
          ? `More than ${waitingPerOrganizationMax} requests of this organization wait for the database`
          : `The requests of this organization have kept its share of the database for ${waitMsMax} ms`,
      ),
  });
  return {
    take: (organizationId, signal) => room.take(organizationId, 1, signal),
    waitingCount: room.waitingCount,
  };
}
