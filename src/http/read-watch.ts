import type { Socket } from 'node:net';

/** Node calls `_unrefTimer` after each read that its parser has parsed, and for each write. */
interface TimedSocket extends Socket {
  _unrefTimer?(): void;
}

/**
 * Calls `onRead` after each read of a connection. Bytes go from the system to Node's parser without passing JavaScript, and there is
 * no public event for a read that completes no head and brings no body. But Node restarts the time-out of a silent connection after
 * each read, by `_unrefTimer`, and this replaces that method.
 * @param onRead may also be called when nothing was read. It must not close the connection, because Node still works on it
 * @returns a function that watches a new connection
 */
export function createReadWatch(onRead: (socket: Socket) => void): (socket: Socket) => void {
  // One function for all connections.
  function refresh(this: TimedSocket): void {
    (Object.getPrototypeOf(this) as TimedSocket)._unrefTimer?.call(this);
    onRead(this);
  }
  return (socket) => {
    (socket as TimedSocket)._unrefTimer = refresh;
  };
}
