import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Stub {
  port: number;
  /** Bodies of the POSTs that arrived whole, whether they were answered or not. */
  received: string[];
  close(): Promise<void>;
}

export const lateMs = 28_000;
export const pauseMs = 600;

/**
 * A server that does what the real one cannot be made to do at will:
 * `/late` answers after 28 s, `/pieces` in two pieces with a pause between, `/cut` and `/cut-length` break off,
 * and a POST is answered only when it is the first on its connection, which is closed at the second.
 */
export async function startStub(): Promise<Stub> {
  const received: string[] = [];
  const sockets = new Set<Socket>();
  const used = new WeakSet<Socket>();
  const server = createServer((request, response) => {
    void answer(request, response, { received, used });
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    received,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { received, used }: { received: string[]; used: WeakSet<Socket> },
): Promise<void> {
  let body = '';
  for await (const part of request) body += part;
  if (request.method === 'POST') {
    received.push(body);
    if (used.has(request.socket)) {
      request.socket.destroy();
      return;
    }
    used.add(request.socket);
    response.writeHead(201).end('{}');
    return;
  }
  if (request.url === '/late') {
    await sleep(lateMs);
    response.end('late');
  } else if (request.url === '/pieces') {
    response.write('first');
    await sleep(pauseMs);
    response.end('second');
  } else {
    if (request.url === '/cut-length') response.setHeader('content-length', 2_000);
    response.write('x'.repeat(1_000));
    await sleep(100);
    request.socket.destroy();
  }
}
