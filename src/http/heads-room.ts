import type { HttpLimits } from './limits.ts';

export type HeadsLimits = Pick<HttpLimits, 'headBytesFree' | 'strangerHeadsBytesMax' | 'keyedHeadsBytesMax'>;

/** Bounds the bytes of heads that all connections hold. */
export interface HeadsRoom<Connection extends HeadsConnection> {
  /** Sets how many bytes of heads a connection holds now; 0 when it is closed. */
  set(connection: Connection, bytes: number): void;
  /** The owner of the connection has changed: from now on its bytes are counted for the new one. */
  own(connection: Connection): void;
}

export interface HeadsConnection {
  /** The owner that its bytes are counted for; undefined while no known key has come on it. */
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

/** Connections that are closed in one turn of the event loop: each answer takes up to a millisecond. */
const closedPerTurn = 8;

/**
 * Bounds the heads that connections hold: incomplete heads, and the heads of requests that are being served or wait. One byte of a
 * head takes 2.4 bytes of memory, and a client may keep it there for `headersMsMax`. Connections without a known key have a
 * bound of their own; all others have one together. Beyond a bound connections of the owner that holds most are closed, those first
 * that have taken most of the room, in bytes and time. So a head that has just come stays, and so does the head of an
 * organization that holds less than another.
 */
export function createHeadsRoom<Connection extends HeadsConnection>({
  limits,
  now,
  close,
}: Options<Connection>): HeadsRoom<Connection> {
  const { headBytesFree, strangerHeadsBytesMax, keyedHeadsBytesMax } = limits;
  const counted = new Set<Connection>();
  /** Bytes of each owner that has a key. */
  const sums = new Map<string, number>();
  let strangers = 0;
  let keyed = 0;
  let isAsked = false;

  function add(owner: string | undefined, bytes: number): void {
    if (owner === undefined) strangers += bytes;
    else {
      keyed += bytes;
      const sum = (sums.get(owner) ?? 0) + bytes;
      if (sum === 0) sums.delete(owner);
      else sums.set(owner, sum);
    }
    if (bytes > 0) askForRoom();
  }

  function askForRoom(): void {
    if (isAsked || (strangers <= strangerHeadsBytesMax && keyed <= keyedHeadsBytesMax)) return;
    isAsked = true;
    // Not now: Node is in the middle of a read here.
    setImmediate(makeRoom);
  }

  function makeRoom(): void {
    isAsked = false;
    const areStrangers = strangers > strangerHeadsBytesMax;
    const isOver = () => (areStrangers ? strangers > strangerHeadsBytesMax : keyed > keyedHeadsBytesMax);
    for (const connection of dearestOf(areStrangers ? undefined : greediest())) if (isOver()) close(connection);
    askForRoom();
  }

  function greediest(): string | undefined {
    let most = 0;
    let owner: string | undefined;
    for (const [one, sum] of sums) if (sum > most) [owner, most] = [one, sum];
    return owner;
  }

  /** The connections of an owner that have taken most of the room, the first one most. */
  function dearestOf(owner: string | undefined): Connection[] {
    const at = now();
    const dearest: { connection: Connection; price: number }[] = [];
    for (const connection of counted) {
      const { held } = connection;
      if (held === undefined || held.owner !== owner) continue;
      const price = held.bytes * (at - held.since + 1);
      if (dearest.length === closedPerTurn && price <= (dearest.at(-1)?.price ?? 0)) continue;
      dearest.push({ connection, price });
      dearest.sort((one, other) => other.price - one.price);
      if (dearest.length > closedPerTurn) dearest.pop();
    }
    return dearest.map(({ connection }) => connection);
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
