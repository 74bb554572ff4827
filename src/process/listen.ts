import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { buildApp } from '../app.ts';
import { type Config, limits } from '../config.ts';
import type { Database } from '../database/database.ts';
import type { App } from '../http/app-type.ts';

/** What serves requests: this process, or the workers that it has started. */
export interface Front {
  /** The address to give to clients. */
  endpoint: string;
  /** Takes no new requests and resolves when those in flight are answered, or `shutdownMsMax` is over. */
  close(): Promise<void>;
}

/**
 * Serves requests from this process.
 * @throws with a sentence when the port is in use
 */
export async function startListening(config: Config, database: Database, log: Logger): Promise<Front> {
  const app = await buildApp({ config, database, log });
  const silent = silentConnections(app);
  await listen(app, config);
  const { port } = app.server.address() as AddressInfo;
  return { endpoint: endpointOf(config.HOST, port), close: () => closeInOrder(app, silent) };
}

async function listen(app: App, { HOST, PORT }: Config): Promise<void> {
  try {
    await app.listen({ host: HOST, port: PORT, backlog: limits.listenBacklog });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new Error(`Port ${PORT} of ${HOST} is in use. Stop the program that uses it, or set PORT to another one.`);
  }
}

/** The address to give to clients: a server that listens on all addresses is reached on loopback from here. */
export function endpointOf(host: string, port: number): string {
  const reachable =
    host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host;
  return `http://${reachable}:${port}`;
}

/** Connections on which no request has come yet: Node does not count them as idle, and would wait for them. */
function silentConnections(app: App): Set<Socket> {
  const silent = new Set<Socket>();
  app.server.on('connection', (socket) => {
    silent.add(socket);
    socket.once('close', () => silent.delete(socket));
  });
  app.server.on('request', (request) => silent.delete(request.socket));
  return silent;
}

const sweepMs = 50;

async function closeInOrder(app: App, silent: Set<Socket>): Promise<void> {
  const giveUp = setTimeout(() => app.server.closeAllConnections(), limits.shutdownMsMax);
  // A connection whose answer ends from now on is kept alive by Node, and would be waited for.
  for (const socket of silent) socket.destroy();
  const sweep = setInterval(() => app.server.closeIdleConnections(), sweepMs);
  try {
    // A flush that hangs with the database must not hold up the end for longer than its requests may.
    await Promise.race([app.close(), sleep(limits.shutdownMsMax + sweepMs, undefined, { ref: false })]);
  } finally {
    clearTimeout(giveUp);
    clearInterval(sweep);
  }
}
