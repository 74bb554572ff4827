/** Closes the connections of a server in order: each gets one more answer, which says `Connection: close`. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface OpenConnections {
  /**
   * From now on every answer says `Connection: close`. Resolves when no idle connection is left, or after `msMax`, when
   * the remaining idle ones are closed. It does not close `server` itself.
   */
  drain(msMax: number): Promise<void>;
  /** The number of requests that are not answered yet. */
  inFlight(): number;
  /** Closes the connections that have no request. */
  closeIdle(): void;
  /** Resolves when no connection is left, and so no request either. */
  gone(): Promise<void>;
  closeAll(): void;
}

const lookMs = 20;

interface Connection {
  /**
   * The answers that are not finished. They are kept per connection, because Node emits no `close` for requests that
   * were sent ahead when their connection closes; a list of all answers would keep those for ever.
   */
  answering: Set<ServerResponse>;
  /** `socket.bytesRead` at the end of the last answer. */
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
  // Bytes that were read since the last answer belong to a request whose head is not complete.
  const isIdle = (socket: Socket, { answering, bytesRead }: Connection) =>
    answering.size === 0 && socket.bytesRead === bytesRead;
  const inFlight = () => [...connections.values()].reduce((sum, { answering }) => sum + answering.size, 0);
  const idle = () => [...connections].filter((one) => isIdle(...one));
  const closeIdle = () => {
    // A request may wait unread in the kernel, and closing would cut it off. Between the two `setImmediate` the event
    // loop reads what has arrived, so its connection is not idle any more.
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
