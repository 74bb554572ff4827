import type { Socket } from 'node:net';

/** Node calls this after each read that its parser has gone through, and for each write. */
interface TimedSocket extends Socket {
  _unrefTimer?(): void;
}

/**
 * What comes on a connection goes from the system to the parser without passing JavaScript, so that nothing public tells of a read that
 * completes no head and brings no body. Node makes the silence of the connection begin anew after each, and here that tells of it.
 * @param onRead must close no connection, of which Node still has something to do; may be called where nothing was read
 * @returns what does so for a new connection
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
