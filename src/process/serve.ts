import cluster from 'node:cluster';
import { type Logger, pino } from 'pino';
import { provideKey } from '../auth/keys.ts';
import type { Config } from '../config.ts';
import { openDatabase } from '../database/database.ts';
import { durabilityProblem } from '../database/durability.ts';
import { type Front, startListening } from './listen.ts';
import { openStore } from './open-database.ts';
import { welcome } from './welcome.ts';
import { startWorkers } from './workers.ts';

/**
 * Runs the server until SIGTERM or SIGINT, then ends it in order: no new requests, those in flight answered, the
 * database closed. Logs go to standard error as JSON lines; standard output is for people.
 * @throws when it cannot start; what was opened by then is closed again.
 */
export async function serve(config: Config): Promise<void> {
  const log = pino({ level: config.LOG_LEVEL }, pino.destination(2));
  if (cluster.isWorker) return serveAsWorker(config, log);
  const signal = stopSignal();
  const store = await openStore(config, log, { mayJoin: false });
  try {
    const problem = await durabilityProblem(store.database);
    if (problem !== undefined) throw new Error(problem);
    const key = await provideKey(store.database, config, process.stdout.isTTY);
    const front =
      config.WORKERS === 1
        ? await startListening(config, store.database, log)
        : await startWorkers(config, store.connectionString, log);
    void signal.then((name) => stop(name, front, store, log));
    process.stdout.write(welcome(front.endpoint, store.place, key));
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** One of WORKERS: the process that started it has made the database ready and is told through it when to stop. */
async function serveAsWorker(config: Config, log: Logger): Promise<void> {
  const signal = stopSignal();
  const database = openDatabase(config.DATABASE_URL as string, {
    poolMax: config.DATABASE_POOL_MAX,
    onIdleError: (error) => log.warn({ err: error }, 'lost an idle database connection'),
  });
  const front = await startListening(config, database, log);
  void signal.then((name) => stop(name, front, database, log));
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

async function stop(
  signal: NodeJS.Signals,
  front: Front,
  store: { close(): Promise<void> },
  log: Logger,
): Promise<void> {
  log.info({ signal }, 'stopping');
  try {
    await front.close();
    await store.close();
    log.info('stopped');
    // What hangs with the database does not keep the process.
    process.exit(0);
  } catch (error) {
    log.error({ err: error }, 'did not stop in order');
    process.exit(1);
  }
}
