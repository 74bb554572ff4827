import { createKeyedAhead, type Excess } from './keyed-ahead.ts';
import type { HttpLimits } from './limits.ts';

export type AheadLimits = Pick<
  HttpLimits,
  'requestsAheadMax' | 'strangersAheadMax' | 'strangerAheadMin' | 'keyedAheadMax' | 'keyedOverMsMax'
>;

/** What is known of a connection here. */
export interface AheadConnection {
  ahead: readonly unknown[];
  /** Whose share of what is sent ahead it takes from; undefined while no known key has come on it. */
  owner?: string | undefined;
  /** Its owner was beyond its share when it became one of its connections. */
  cameIn?: Excess | undefined;
}

/** Counts what all connections have sent ahead. */
export interface RequestsAhead {
  /** So many more of a connection; below 0, so many have been begun or forgotten. */
  add(connection: AheadConnection, requests: number): void;
  /** A key of this organization has come. @returns whether the connection has another owner now */
  own(connection: AheadConnection, organizationId: string): boolean;
  /** Whether connections of this owner are not read now, since it is beyond its share. */
  isOver(owner: string): boolean;
  /** Requests that a connection may have ahead; the one that sends more is closed. */
  mostOf(connection: AheadConnection, strangers: number): number;
}

/** The owner of connections on which keys of several organizations have come: those of a proxy wait for no one's share but their own. */
const several = '';

/** @param onChange an owner is beyond its share, or within it again, or has been beyond it for long */
export function createRequestsAhead(limits: AheadLimits, onChange: (owner: string) => void): RequestsAhead {
  const { requestsAheadMax, strangerAheadMin, keyedAheadMax, keyedOverMsMax } = limits;
  let strangersAhead = 0;
  const keyed = createKeyedAhead({
    ...{ keyedAheadMax, keyedOverMsMax, onChange },
    ...{ aheadMax: requestsAheadMax, aheadMin: strangerAheadMin },
  });

  function add({ owner }: AheadConnection, requests: number): void {
    if (owner === undefined) strangersAhead += requests;
    else if (requests !== 0) keyed.add(owner, requests);
  }

  return {
    add,
    isOver: keyed.isOver,
    own(connection, organizationId) {
      const { owner = organizationId, ahead } = connection;
      const next = owner === organizationId ? owner : several;
      if (connection.owner === next) return false;
      add(connection, -ahead.length);
      connection.owner = next;
      connection.cameIn = keyed.excessOf(next);
      add(connection, ahead.length);
      return true;
    },
    mostOf: ({ owner, cameIn }, strangers) =>
      owner === undefined
        ? Math.min(requestsAheadMax, strangersShare(limits, strangers, strangersAhead))
        : keyed.mostOf(owner, cameIn),
  };
}

/**
 * Requests that one connection without a known key may send ahead. Each has the same share: of a thousand that send a
 * thousand at once, all would be made into requests for one connection after the other, and then into garbage.
 */
function strangersShare({ strangersAheadMax, strangerAheadMin }: AheadLimits, count: number, ahead: number): number {
  return ahead >= strangersAheadMax ? 0 : Math.max(strangerAheadMin, strangersAheadMax / count);
}
