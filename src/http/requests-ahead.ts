import type { Socket } from 'node:net';
import { createKeyedAhead } from './keyed-ahead.ts';
import type { HttpLimits } from './limits.ts';
import { type AheadConnection, createStalledAhead } from './stalled-ahead.ts';

export type AheadLimits = Pick<
  HttpLimits,
  'requestsAheadMax' | 'strangersAheadMax' | 'strangerAheadMin' | 'keyedAheadMax' | 'aheadStalledMsMax'
>;

/** Counts what all connections have sent ahead. */
export interface RequestsAhead {
  /** So many more of a connection; below 0, so many have been begun or forgotten. */
  add(connection: AheadConnection, requests: number): void;
  /** A key of this organization has come. @returns whether the connection has another owner now */
  own(connection: AheadConnection, organizationId: string): boolean;
  /** Whether an owner is beyond its share. */
  isOver(owner: string): boolean;
  /** Requests that a connection may have ahead; the one that sends more is closed. */
  mostOf(connection: AheadConnection, strangers: number): number;
}

/** The owner of connections on which keys of several organizations have come: those of a proxy wait for no one's share but their own. */
const several = '';

interface Options {
  limits: AheadLimits;
  connections: ReadonlyMap<Socket, AheadConnection>;
  /** An owner is beyond its share, or within it again. */
  onChange(owner: string): void;
  /** Closes a connection. */
  shut(socket: Socket): void;
}

export function createRequestsAhead({ limits, connections, onChange, shut }: Options): RequestsAhead {
  const { requestsAheadMax, keyedAheadMax, aheadStalledMsMax } = limits;
  let strangersAhead = 0;
  const keyed = createKeyedAhead(keyedAheadMax, (owner) => {
    onChange(owner);
    if (keyed.isOver(owner)) endStalled(owner);
  });
  const endStalled = createStalledAhead({ connections, aheadStalledMsMax, isOver: keyed.isOver, end: shut });

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
      add(connection, ahead.length);
      return true;
    },
    mostOf: ({ owner }, strangers) =>
      owner === undefined
        ? Math.min(requestsAheadMax, strangersShare(limits, strangers, strangersAhead))
        : requestsAheadMax,
  };
}

/**
 * Requests that one connection without a known key may send ahead. Each has the same share: of a thousand that send a
 * thousand at once, all would be made into requests for one connection after the other, and then into garbage.
 */
function strangersShare({ strangersAheadMax, strangerAheadMin }: AheadLimits, count: number, ahead: number): number {
  return ahead >= strangersAheadMax ? 0 : Math.max(strangerAheadMin, strangersAheadMax / count);
}
