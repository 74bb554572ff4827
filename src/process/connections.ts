/** The connections of a server that is to end: each is told so with an answer, and then closed. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Connections {
  /**
   * From now on every answer says `Connection: close`. Comes back when no connection is left that waits for a request, or
   * after `msMax`; then the others are closed, and `server` itself is still open.
   */
  drain(msMax: number): Promise<void>;
  /** Requests that are not answered yet. */
  inFlight(): number;
  /** Closes those on which nothing is going on. */
  closeIdle(): void;
  closeAll(): void;
}

const lookMs = 20;

/** Follows the connections of a server from now on; call it before the server listens. */
export function followConnections(server: Server): Connections {
  /** How many requests of each connection are not answered yet. */
  const requests = new Map<Socket, number>();
  const answering = new Set<ServerResponse>();
  let isDraining = false;

  server.on('connection', (socket: Socket) => {
    requests.set(socket, 0);
    socket.once('close', () => requests.delete(socket));
  });
  server.prependListener('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    if (isDraining) response.setHeader('connection', 'close');
    answering.add(response);
    requests.set(socket, (requests.get(socket) ?? 0) + 1);
    response.once('close', () => {
      answering.delete(response);
      const count = requests.get(socket);
      if (count !== undefined) requests.set(socket, count - 1);
    });
  });
  const idle = () => [...requests].filter(([, count]) => count === 0).map(([socket]) => socket);
  const closeIdle = () => {
    for (const socket of idle()) socket.destroy();
  };
  return {
    async drain(msMax) {
      isDraining = true;
      for (const response of answering) if (!response.headersSent) response.setHeader('connection', 'close');
      const deadline = performance.now() + msMax;
      while (idle().length > 0 && performance.now() < deadline) await sleep(lookMs);
      closeIdle();
    },
    inFlight: () => answering.size,
    closeIdle,
    closeAll: () => {
      for (const socket of requests.keys()) socket.destroy();
    },
  };
}
