import type { AddressInfo, Socket } from 'node:net';
import { pino } from 'pino';
import { buildApp } from './app.ts';
import { provideKey } from './auth/keys.ts';
import { type Config, limits } from './config.ts';
import type { App } from './http/app-type.ts';
import { durabilityProblem } from './http/health.ts';
import { openStore, type Store } from './open-store.ts';
import { welcome } from './welcome.ts';

/**
 * Runs the server until SIGTERM or SIGINT, then ends it in order: no new requests, those in flight answered, the
 * database closed. Logs go to standard error as JSON lines; standard output is for people.
 * @throws when it cannot start; what was opened by then is closed again.
 */
export async function serve(config: Config): Promise<void> {
  const log = pino({ level: config.LOG_LEVEL }, pino.destination(2));
  const signal = stopSignal();
  const store = await openStore(config, log, { mayJoin: false });
  try {
    const problem = await durabilityProblem(store.database);
    if (problem !== undefined) throw new Error(problem);
    const key = await provideKey(store.database, config, process.stdout.isTTY);
    const app = await buildApp({ config, database: store.database, log });
    const silent = silentConnections(app);
    await listen(app, config);
    void signal.then((name) => stop(name, app, silent, store));
    process.stdout.write(welcome(endpointOf(config.HOST, portOf(app)), store.place, key));
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function listen(app: App, { HOST, PORT }: Config): Promise<void> {
  try {
    await app.listen({ host: HOST, port: PORT, backlog: limits.listenBacklog });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new Error(`Port ${PORT} of ${HOST} is in use. Stop the program that uses it, or set PORT to another one.`);
  }
}

const portOf = (app: App) => (app.server.address() as AddressInfo).port;

/** The address to give to clients: a server that listens on all addresses is reached on loopback from here. */
export function endpointOf(host: string, port: number): string {
  const reachable =
    host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host;
  return `http://${reachable}:${port}`;
}

/**
 * The first SIGTERM or SIGINT; one that comes during the start waits for its end, so that PostgreSQL is stopped too. More
 * of them change nothing: npm passes a Ctrl-C on to a process that has had it from the terminal already.
 */
function stopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => resolve(name));
  });
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

async function stop(signal: NodeJS.Signals, app: App, silent: Set<Socket>, store: Store): Promise<void> {
  app.log.info({ signal }, 'stopping');
  try {
    const giveUp = setTimeout(() => app.server.closeAllConnections(), limits.shutdownMsMax);
    // A connection whose answer ends from now on is kept alive by Node, and would be waited for.
    for (const socket of silent) socket.destroy();
    const sweep = setInterval(() => app.server.closeIdleConnections(), sweepMs);
    await app.close();
    clearTimeout(giveUp);
    clearInterval(sweep);
    await store.close();
    app.log.info('stopped');
  } catch (error) {
    app.log.error({ err: error }, 'did not stop in order');
    process.exit(1);
  }
}
