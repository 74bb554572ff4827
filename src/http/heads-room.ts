import type { HttpLimits } from './limits.ts';

export type HeadsLimits = Pick<HttpLimits, 'headBytesFree' | 'strangerHeadsBytesMax' | 'keyedHeadsBytesMax'>;

/** Bounds the bytes of heads that all connections hold. */
export interface HeadsRoom<Connection extends HeadsConnection> {
  /** Sets how many bytes of heads a connection holds now; 0 when it is closed. */
  set(connection: Connection, bytes: number): void;
  /** The owner of the connection has changed: from now on its bytes are taken from the share of the new one. */
  own(connection: Connection): void;
}

export interface HeadsConnection {
  /** The owner from whose share its bytes are taken; undefined while no known key has come on it. */
  owner?: string | undefined;
  /** The bytes that are counted, their owner, and since when; undefined while they are no more than `headBytesFree`. */
  held?: { owner: string | undefined; bytes: number; since: number } | undefined;
}

interface Options<Connection> {
  limits: HeadsLimits;
  /** Milliseconds from any origin. */
  now(): number;
  /** Closes a connection. Called outside of any read; must `set` the bytes of the connection to 0. */
  close(connection: Connection): void;
}

/**
 * Bounds the heads that connections hold: incomplete heads, and the heads of requests that are being served or wait. One byte of a
 * head takes 2.4 bytes of memory, and a client may keep it there for `headersMsMax`. Connections without a known key share
 * `strangerHeadsBytesMax`. Of `keyedHeadsBytesMax` each owner may have as much as it leaves free. Beyond such a share the connection
 * is closed whose bytes, times how long it has held them, are the most. So a head that has only just come stays, whatever others hold.
 */
export function createHeadsRoom<Connection extends HeadsConnection>({
  limits,
  now,
  close,
}: Options<Connection>): HeadsRoom<Connection> {
  const { headBytesFree, strangerHeadsBytesMax, keyedHeadsBytesMax } = limits;
  const counted = new Set<Connection>();
  const sums = new Map<string | undefined, number>();
  const over = new Set<string | undefined>();
  let keyed = 0;

  function isOver(owner: string | undefined): boolean {
    const sum = sums.get(owner) ?? 0;
    return sum > (owner === undefined ? strangerHeadsBytesMax : (keyedHeadsBytesMax - keyed + sum) / 2);
  }

  function add(owner: string | undefined, bytes: number): void {
    const sum = (sums.get(owner) ?? 0) + bytes;
    if (sum === 0) sums.delete(owner);
    else sums.set(owner, sum);
    if (owner !== undefined) keyed += bytes;
    if (bytes <= 0 || !isOver(owner)) return;
    // Not at once: this is called while Node parses a read, and a connection must not be closed then.
    if (over.size === 0) setImmediate(makeRoom);
    over.add(owner);
  }

  function makeRoom(): void {
    const owners = [...over];
    over.clear();
    for (const owner of owners) {
      while (isOver(owner)) close(dearestOf(owner) as Connection);
    }
  }

  function dearestOf(owner: string | undefined): Connection | undefined {
    const at = now();
    let dearest: Connection | undefined;
    let most = 0;
    for (const connection of counted) {
      const { held } = connection;
      if (held === undefined || held.owner !== owner) continue;
      const price = held.bytes * (at - held.since + 1);
      if (price <= most) continue;
      dearest = connection;
      most = price;
    }
    return dearest;
  }

  function set(connection: Connection, bytes: number): void {
    const { held: before, owner } = connection;
    const isCounted = bytes > headBytesFree;
    if (before === undefined && !isCounted) return;
    connection.held = isCounted ? { owner, bytes, since: before?.since ?? now() } : undefined;
    if (isCounted) counted.add(connection);
    else counted.delete(connection);
    if (before !== undefined) add(before.owner, -before.bytes);
    if (isCounted) add(owner, bytes);
  }

  return {
    set,
    own(connection) {
      if (connection.held !== undefined) set(connection, connection.held.bytes);
    },
  };
}
