/** The connections of a server that is to end: each is told so with an answer, and then closed. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface OpenConnections {
  /**
   * From now on every answer says `Connection: close`. Comes back when no connection is left that waits for a request, or
   * after `msMax`; then the others are closed, and `server` itself is still open.
   */
  drain(msMax: number): Promise<void>;
  /** Requests that are not answered yet. */
  inFlight(): number;
  /** Closes those on which nothing is going on. */
  closeIdle(): void;
  /** Comes back when none is left, nor any request. */
  gone(): Promise<void>;
  closeAll(): void;
}

const lookMs = 20;

interface Connection {
  /**
   * What is not answered yet. It goes with its connection: of requests that were sent ahead Node says nothing when that closes,
   * and would else keep them for ever.
   */
  answering: Set<ServerResponse>;
  /** Bytes that had been read when the last answer was done. */
  bytesRead: number;
}

/** Follows the connections of a server from now on; call it before the server listens. */
export function followConnections(server: Server): OpenConnections {
  const connections = new Map<Socket, Connection>();
  let isDraining = false;

  server.on('connection', (socket: Socket) => {
    connections.set(socket, { answering: new Set(), bytesRead: 0 });
    socket.once('close', () => connections.delete(socket));
  });
  server.prependListener('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    if (isDraining) response.setHeader('connection', 'close');
    const connection = connections.get(socket);
    if (connection === undefined) return;
    connection.answering.add(response);
    response.once('close', () => {
      connection.answering.delete(response);
      connection.bytesRead = socket.bytesRead;
    });
  });
  // A request of which something has been read, though not its whole head, is on its way.
  const isIdle = (socket: Socket, { answering, bytesRead }: Connection) =>
    answering.size === 0 && socket.bytesRead === bytesRead;
  const inFlight = () => [...connections.values()].reduce((sum, { answering }) => sum + answering.size, 0);
  const idle = () => [...connections].filter((one) => isIdle(...one));
  const closeIdle = () => {
    // A request that waits in the kernel would be cut off unread. Between the two the event loop reads what has arrived.
    const close = () => {
      for (const [socket] of idle()) socket.destroy();
    };
    setImmediate(() => setImmediate(close));
  };
  return {
    async drain(msMax) {
      isDraining = true;
      for (const { answering } of connections.values())
        for (const response of answering) if (!response.headersSent) response.setHeader('connection', 'close');
      const deadline = performance.now() + msMax;
      while (idle().length > 0 && performance.now() < deadline) await sleep(lookMs);
      closeIdle();
    },
    inFlight,
    closeIdle,
    async gone() {
      while (connections.size > 0) await sleep(lookMs);
    },
    closeAll: () => {
      for (const socket of connections.keys()) socket.destroy();
    },
  };
}
