import type { AddressInfo } from 'node:net';
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
  const store = await openStore(config, log, { mayJoin: false });
  try {
    const problem = await durabilityProblem(store.database);
    if (problem !== undefined) throw new Error(problem);
    const key = await provideKey(store.database, config, process.stdout.isTTY);
    const app = await buildApp({ config, database: store.database, log });
    await app.listen({ host: config.HOST, port: config.PORT, backlog: limits.listenBacklog });
    stopOnSignals(app, store);
    process.stdout.write(welcome(endpointOf(app, config.HOST), store.place, key));
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** The address to give to clients: a server that listens on all addresses is reached on loopback from here. */
function endpointOf(app: App, host: string): string {
  const { port } = app.server.address() as AddressInfo;
  const reachable =
    host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host;
  return `http://${reachable}:${port}`;
}

function stopOnSignals(app: App, store: Store): void {
  const stop = async (signal: NodeJS.Signals) => {
    app.log.info({ signal }, 'stopping');
    const giveUp = setTimeout(() => app.server.closeAllConnections(), limits.shutdownMsMax);
    await app.close();
    clearTimeout(giveUp);
    await store.close();
    app.log.info('stopped');
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      stop(signal).catch((error: unknown) => {
        app.log.error({ err: error }, 'did not stop in order');
        process.exit(1);
      });
    });
  }
}
