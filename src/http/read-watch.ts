import type { Socket } from 'node:net';

/** Node calls this after each read that its parser has gone through, and for each write. */
interface TimedSocket extends Socket {
  _unrefTimer?(): void;
  /** Reads itself from the handle of the connection, unless somebody else reads the connection in JavaScript. */
  parser?: { _consumed?: boolean } | null;
}

/**
 * What comes on a connection goes from the system to the parser without passing JavaScript, so that nothing public tells of a read that
 * completes no head and brings no body. Node makes the silence of the connection begin anew after each, and here that tells of it.
 * @param onRead may be called where nothing was read
 * @returns what does so for a new connection
 */
export function createReadWatch(onRead: (socket: Socket) => void): (socket: Socket) => void {
  // One function for all connections.
  function refresh(this: TimedSocket): void {
    (Object.getPrototypeOf(this) as TimedSocket)._unrefTimer?.call(this);
    if (this.parser?._consumed === true) onRead(this);
    // Node calls this before it hands on what it has read. It takes a connection that is closed in between for one whose read has
    // failed, by an error with the number of bytes as its code, and ends the process.
    else process.nextTick(onRead, this);
  }
  return (socket) => {
    (socket as TimedSocket)._unrefTimer = refresh;
  };
}
