import type { Socket } from 'node:net';

/** What shows whether a connection goes on. */
export interface AheadConnection {
  ahead: readonly unknown[];
  /** Whose share of what is sent ahead it takes from. */
  owner?: string | undefined;
  /** Requests on it that have been answered. */
  left: number;
}

interface Options {
  connections: ReadonlyMap<Socket, AheadConnection>;
  aheadStalledMsMax: number;
  isOver(owner: string): boolean;
  end(socket: Socket): void;
}

interface Seen {
  left: number;
  bytes: number;
  looks: number;
}

/** A connection of which no request is begun for so many looks is closed, even if its client takes what it is sent. */
const looksMax = 6;

/**
 * While an organization is beyond its share, none of its connections is read, so that one whose client reads nothing would stop all
 * instruments of its laboratory. So it is closed when its client has taken nothing for `aheadStalledMsMax`.
 * @returns what is to be called when an owner has gone beyond its share
 */
export function createStalledAhead(options: Options): (owner: string) => void {
  const { connections, aheadStalledMsMax, isOver, end } = options;

  function look(owner: string, before: ReadonlyMap<Socket, Seen>): void {
    const seen = new Map<Socket, Seen>();
    for (const [socket, { ahead, owner: its, left }] of connections) {
      if (its !== owner || ahead.length === 0) continue;
      const last = before.get(socket);
      const looks = last?.left === left ? last.looks + 1 : 0;
      const takesNothing = looks > 0 && socket.writableLength > 0 && socket.bytesWritten === last?.bytes;
      if (takesNothing || looks >= looksMax) end(socket);
      else seen.set(socket, { left, bytes: socket.bytesWritten, looks });
    }
    if (isOver(owner)) setTimeout(look, aheadStalledMsMax, owner, seen).unref();
    else watched.delete(owner);
  }

  const watched = new Set<string>();
  return (owner) => {
    if (watched.has(owner)) return;
    watched.add(owner);
    look(owner, new Map());
  };
}
