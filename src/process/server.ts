/** A process that serves requests, on sockets that its parent process holds. */
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { buildApp } from '../app.ts';
import { type ProvidedKey, provideKey } from '../auth/keys.ts';
import { createSchedule, type Schedule } from '../backups/schedule.ts';
import type { Config } from '../config.ts';
import { theServer } from '../database/audit.ts';
import { dataFolderBehind } from '../database/data-folder.ts';
import { type Database, openDatabase } from '../database/database.ts';
import { createGate } from '../database/gate.ts';
import { explainFailure } from '../errors.ts';
import type { App } from '../http/app-type.ts';
import { metricsThrough } from '../http/cluster-metrics.ts';
import { applyProvisioning, countProvisioned, describeProvisioned } from '../provisioning/provision.ts';
import { readProvisioning } from '../provisioning/provisioning-file.ts';
import type { ProcessLimits } from './limits.ts';
import { endpointOf, type Front, listen } from './listen.ts';
import type { DatabaseAddresses, FromServer, Part, ToServer } from './messages.ts';
import { type PrepareOptions, prepareDatabase, sayWhereTablesAre } from './open-database.ts';
import { leave, onStopSignal } from './signals.ts';
import { waitingWelcome, welcome } from './welcome.ts';

type Environment = Record<string, string | undefined>;

/**
 * Serves until it is asked to stop, or until its parent process is gone. Unless other processes serve meanwhile, it
 * listens at once: requests that arrive before the database is ready wait, as they do while PostgreSQL is away.
 */
export async function serveRequests(
  config: Config,
  environment: Environment,
  part: Part,
  log: Logger,
  limits: ProcessLimits,
): Promise<void> {
  let front: Promise<Front> | undefined;
  let isEnding = false;
  const end = async (why: string, closing: { drainMs: number; takesNew: boolean }) => {
    log.info({ why }, 'stopping');
    isEnding = true;
    const backupsEnd = backups?.stop();
    await (await front)?.close(closing);
    await backupsEnd;
    await database.close();
    leave(0, why);
  };
  const orEnd = (ending: Promise<void>) =>
    ending.catch((error) => {
      log.error({ err: error }, 'did not stop in order');
      process.exit(1);
    });
  onStopSignal((signal) => orEnd(end(signal, { drainMs: limits.drainMs, takesNew: !part.areHeldElsewhere })));
  const orphaned = () => {
    // The next server will stop the embedded PostgreSQL that is left over, so waiting for longer would not help.
    setTimeout(() => process.exit(1), limits.orphanMsMax);
    orEnd(end('the process that holds the sockets is gone', { drainMs: 0, takesNew: false }));
  };
  process.on('disconnect', orphaned);
  const addresses = databaseAddresses();
  process.on('message', (message: ToServer) => {
    if (message.type === 'hand over') orEnd(end('others serve', { drainMs: limits.handOverMs, takesNew: false }));
  });

  let known: DatabaseAddresses | undefined;
  const backups = backupsOf(config, log);
  const gate = createGate();
  let foundFolder: string | undefined;
  const folder = () => {
    foundFolder ??= known && dataFolderBehind(config.DATA_DIR, known.connectionString);
    return foundFolder;
  };
  const database = openDatabase(gate.route, {
    poolMax: Math.max(2, Math.floor(config.DATABASE_POOL_MAX / config.WORKERS)),
    onIdleError: (error) => log.warn({ reason: error.message }, 'lost an idle database connection'),
    replica: config.READ_DATABASE_URL,
    dataFolder: folder,
    disk: {
      folder: () => config.DATABASE_DISK_DIR ?? folder(),
      warnBytes: config.DISK_WARN_BYTES,
      refuseBytes: config.DISK_REFUSE_BYTES,
    },
  });
  const prepared = addresses.then(async (found) => {
    await prepareDatabase(found, log, preparationOf(config, limits, gate.refuse));
    // The key is stored before the gate opens: an early request with BOOTSTRAP_API_KEY must not be answered 401.
    const key = part.isFirst ? await provideIn(found, config, environment, log) : undefined;
    known = found;
    gate.open(found.connectionString);
    return { place: found.place, key };
  });
  // It may reject before anything awaits it; without this the process would end.
  prepared.catch(() => {});
  // The parent may have gone while this program was being loaded, before the listener above existed. A process that
  // stayed would accept connections beside the next server, and never learn where the database is.
  if (!process.connected) return orphaned();
  try {
    if (part.preparesFirst) await prepared;
    const app = await buildApp({ config, database, log, backups, metricsOfAll: metricsThrough(process) });
    // New connections to a socket that systemd holds are for the next server.
    if (isEnding) return;
    front = listen(app, part.descriptors, limits);
    await front;
    const endpoint = endpointFor(app, config);
    log.info(`Server listening at ${endpoint}`);
    send({ type: 'serving' });
    if (part.isFirst) void sayWhatIsAwaited(prepared, endpoint, limits);
    const { place, key } = await prepared;
    // Before the welcome is printed: from then on a reader may rely on this process being replaced when it ends.
    send({ type: 'ready' });
    void sayWhereTablesAre(database, log);
    if (known !== undefined) backups?.start(known.connectionString);
    if (key !== undefined) process.stdout.write(welcome(endpoint, place, key, config.PUBLIC_URL));
  } catch (error) {
    process.send?.({ type: 'refused', why: explainFailure(error) } satisfies FromServer, () => process.exit(1));
  }
}

/** The start waits for the database as long as it takes. */
const preparationOf = (config: Config, limits: ProcessLimits, onAway: () => void): PrepareOptions => ({
  limits: { ...limits, databaseWaitMsMax: Number.POSITIVE_INFINITY },
  mustBeDurable: true,
  readsReplica: config.READ_DATABASE_URL !== undefined,
  onAway,
});

function backupsOf(config: Config, log: Logger): Schedule | undefined {
  const { BACKUP_DIR: folder, BACKUP_EVERY_HOURS: hours, BACKUP_KEEP: keep } = config;
  return folder === undefined ? undefined : createSchedule({ folder, everyMs: hours * 3_600_000, keep, log });
}

/**
 * Makes what PROVISIONING_FILE says, and the first key. The gate is still closed, so it opens a connection of its own.
 */
async function provideIn(
  { connectionString }: DatabaseAddresses,
  config: Config,
  environment: Environment,
  log: Logger,
): Promise<ProvidedKey> {
  const database = openDatabase(connectionString, { poolMax: 1, onIdleError: () => {} });
  try {
    // The file first: when it has a key for the default organization, no other one is made.
    if (config.PROVISIONING_FILE !== undefined) await provision(database, config.PROVISIONING_FILE, environment, log);
    return await provideKey(database, config, process.stdout.isTTY);
  } finally {
    await database.close();
  }
}

async function provision(database: Database, path: string, environment: Environment, log: Logger): Promise<void> {
  const wanted = readProvisioning(path, environment);
  const done = await applyProvisioning(database, wanted, { actor: theServer, now: Date.now });
  for (const one of done) {
    if (['revoked', 'expired'].includes(one.became)) log.warn({ file: path }, describeProvisioned(one));
  }
  log.info({ file: path, ...countProvisioned(done) }, 'provisioned');
}

function databaseAddresses(): Promise<DatabaseAddresses> {
  return new Promise((resolve) => {
    process.on('message', (message: ToServer) => {
      if (message.type === 'database') resolve(message.addresses);
    });
  });
}

/** Sends to the parent process. If the parent has gone, this process is about to end too, so an error is ignored. */
function send(message: FromServer): void {
  process.send?.(message, () => {});
}

function endpointFor(app: App, { HOST }: Config): string {
  const address = app.server.address() as AddressInfo | string;
  return typeof address === 'string' ? `unix:${address}` : endpointOf(HOST, address.port);
}

async function sayWhatIsAwaited(prepared: Promise<unknown>, endpoint: string, limits: ProcessLimits): Promise<void> {
  const settled = prepared.then(
    () => true,
    () => true,
  );
  const isSettled = await Promise.race([settled, sleep(limits.welcomeWaitMs, false, { ref: false })]);
  if (!isSettled) process.stdout.write(waitingWelcome(endpoint));
}
