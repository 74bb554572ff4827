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
}

/**
 * Bounds the heads that connections hold: those that are not complete, and those of requests that are served or wait. A byte of one takes
 * 2.4 in memory, and a client may keep it there for `headersMsMax`. Connections without a known key have a room of their own. Of the
 * others each owner may have as much as it leaves free. Beyond that the connection is closed that holds most, of those the first.
 * @param close must set what the connection holds to 0
 */
export function createHeadsRoom<Connection extends HeadsConnection>(
  { headBytesFree, strangerHeadsBytesMax, keyedHeadsBytesMax }: HeadsLimits,
  close: (connection: Connection) => void,
): HeadsRoom<Connection> {
  /** Those that hold more than is free, and the owner from whose share it is taken. */
  const held = new Map<Connection, { owner: string | undefined; bytes: number }>();
  const sums = new Map<string | undefined, number>();
  let keyed = 0;
  const sumOf = (owner: string | undefined) => sums.get(owner) ?? 0;

  function add(owner: string | undefined, bytes: number): void {
    const sum = sumOf(owner) + bytes;
    if (sum === 0) sums.delete(owner);
    else sums.set(owner, sum);
    if (owner !== undefined) keyed += bytes;
  }

  function isOver(owner: string | undefined): boolean {
    const sum = sumOf(owner);
    return owner === undefined ? sum > strangerHeadsBytesMax : sum > (keyedHeadsBytesMax - keyed + sum) / 2;
  }

  function largestOf(owner: string | undefined): Connection | undefined {
    let largest: Connection | undefined;
    let most = 0;
    for (const [connection, one] of held) {
      if (one.owner !== owner || one.bytes <= most) continue;
      largest = connection;
      most = one.bytes;
    }
    return largest;
  }

  function set(connection: Connection, bytes: number): void {
    const counted = bytes > headBytesFree ? bytes : 0;
    const before = held.get(connection);
    if (before === undefined && counted === 0) return;
    if (before !== undefined) add(before.owner, -before.bytes);
    if (counted === 0) {
      held.delete(connection);
      return;
    }
    const { owner } = connection;
    // Where it stands already it stays, so that the first of those that hold as much is the one that has held for longest.
    held.set(connection, { owner, bytes: counted });
    add(owner, counted);
    while (isOver(owner)) {
      const largest = largestOf(owner);
      if (largest === undefined) return;
      close(largest);
    }
  }

  return {
    set,
    own(connection) {
      const before = held.get(connection);
      if (before !== undefined) set(connection, before.bytes);
    },
  };
}
