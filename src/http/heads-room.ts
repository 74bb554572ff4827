import type { HttpLimits } from './limits.ts';

export type HeadsLimits = Pick<HttpLimits, 'headBytesFree' | 'strangerHeadsBytesMax' | 'keyedHeadsBytesMax'>;

/** The connections that hold heads. */
export interface HeadsRoom<Connection extends HeadsConnection> {
  /** A connection holds so many bytes of heads now; 0 when it is closed. */
  set(connection: Connection, bytes: number): void;
  /** What a connection holds is taken from another owner's share from now on. */
  own(connection: Connection): void;
}

export interface HeadsConnection {
  /** Whose share it takes from; undefined while no known key has come on it. */
  owner?: string | undefined;
  /** What is counted of it, and since when; undefined while it holds little. */
  held?: { owner: string | undefined; bytes: number; since: number } | undefined;
}

interface Options<Connection> {
  limits: HeadsLimits;
  /** Milliseconds from any origin. */
  now(): number;
  /** Called in a turn of its own; must set what the connection holds to 0. */
  close(connection: Connection): void;
}

/**
 * Bounds the heads that connections hold: those that are not complete, and those of requests that are served or wait. A byte of one takes
 * 2.4 in memory, and a client may keep it there for `headersMsMax`. Connections without a known key have a room of their own. Of the
 * others each owner may have half of what is not taken. Beyond it the connection is closed that has taken most of the room, in bytes
 * and time: a head that has only just come stays, whatever others hold.
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
    // Node is in the middle of a read here.
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
