import { createKeyedAhead, type Excess } from './keyed-ahead.ts';
import type { HttpLimits } from './limits.ts';

export type AheadLimits = Pick<
  HttpLimits,
  'requestsAheadMax' | 'strangersAheadMax' | 'strangerAheadMin' | 'keyedAheadMax' | 'keyedOverMsMax'
>;

/** What is counted of a connection here. */
export interface AheadConnection {
  ahead: readonly unknown[];
  /** The owner from whose share its requests ahead are taken; undefined while no known key has come on it. */
  owner?: string | undefined;
  /** The excess that its owner was in when the connection became one of its own; undefined if it was in none. */
  cameIn?: Excess | undefined;
}

/** Counts the requests that all connections have sent ahead, which means: that have been read and are not served yet. */
export interface RequestsAhead {
  /** Adds requests of a connection; a negative number takes away requests that have begun or were dropped. */
  add(connection: AheadConnection, requests: number): void;
  /** A known key of this organization has come. @returns whether the connection has another owner now */
  own(connection: AheadConnection, organizationId: string): boolean;
  /** Whether connections of this owner are not read now, because it is beyond its share. */
  isOver(owner: string): boolean;
  /** How many requests the connection may have ahead; if it sends more, it is closed. @param strangers connections without a known key */
  mostOf(connection: AheadConnection, strangers: number): number;
}

/** The owner of all connections on which keys of several organizations have come, such as those of a proxy: they have a share of their own. */
const several = '';

/** @param onChange an owner has gone beyond its share, has come back within it, or has been beyond it for `keyedOverMsMax` */
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
 * Requests that one connection without a known key may send ahead. All have the same share. Without it, when a thousand
 * connections each send a thousand requests, Node would create objects for all of them and then discard them.
 */
function strangersShare({ strangersAheadMax, strangerAheadMin }: AheadLimits, count: number, ahead: number): number {
  return ahead >= strangersAheadMax ? 0 : Math.max(strangerAheadMin, strangersAheadMax / count);
}
