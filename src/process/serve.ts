import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import { durationSeconds } from '../lib/duration.ts';
import { type DatabaseAddress, findDatabase } from './database-address.ts';
import { type Fleet, startFleet } from './fleet.ts';
import { type ProcessLimits, processLimits } from './limits.ts';
import { type LogFormat, openLog } from './log.ts';
import { partIn } from './messages.ts';
import { type RetentionSchedule, scheduleRetention } from './retention-schedule.ts';
import { leave, onStopSignal } from './signals.ts';
import { openSockets, type Sockets } from './sockets.ts';

/**
 * Runs the server until SIGTERM, SIGINT or SIGHUP, then ends it in order: requests in flight are answered, the database is
 * closed. SIGUSR2 replaces the processes that serve by new ones of the program as it is installed then. This process
 * holds the sockets and the embedded PostgreSQL, and starts the processes that serve. Logs go to standard error;
 * standard output is for people.
 * @param environment says which of these processes this one is, and which sockets systemd hands over
 * @throws Error when it cannot start; everything that was opened is closed again
 */
export async function serve(
  config: Config,
  environment: Record<string, string | undefined>,
  limits: ProcessLimits = processLimits,
): Promise<void> {
  if (config.RETENTION_EVERY !== undefined && (!config.RETENTION_FILE || !config.RETENTION_DIR)) {
    throw new Error('RETENTION_EVERY needs RETENTION_FILE and RETENTION_DIR too (docs/retention.md).');
  }
  const log = openLog(config.LOG_LEVEL, 2, config.LOG_FORMAT as LogFormat);
  const part = partIn(environment);
  // An invalid file must be reported before anything is opened.
  if (part === undefined && config.PROVISIONING_FILE !== undefined) {
    const { readProvisioning } = await import('../provisioning/provisioning-file.ts');
    readProvisioning(config.PROVISIONING_FILE, environment);
  }
  if (part !== undefined) {
    // Loaded only here: in the process that holds the sockets it would waste 60 MB of memory.
    const { serveRequests } = await import('./server.ts');
    return serveRequests(config, environment, part, log, limits);
  }
  const opened: Opened = {};
  onStopSignal((signal) => void stop(signal, opened, log));
  try {
    opened.sockets = await openSockets(config, environment, log, limits.portWaitMsMax);
    opened.fleet = startFleet({ config, environment, sockets: opened.sockets, log, limits });
    process.on('SIGUSR2', () => opened.fleet?.reload());
    opened.finding = findDatabase(config, log, { mayJoin: false });
    opened.fleet.useDatabase(await opened.finding);
    await opened.fleet.ready;
    if (!opened.isStopping) opened.retention = retentionOf(config, environment, log, limits);
  } catch (error) {
    if (opened.isStopping) return;
    await close(opened);
    throw error;
  }
}

/** What has been opened so far. */
interface Opened {
  sockets?: Sockets;
  fleet?: Fleet;
  finding?: Promise<DatabaseAddress>;
  retention?: RetentionSchedule | undefined;
  isStopping?: boolean;
}

function retentionOf(
  { RETENTION_EVERY: every }: Config,
  environment: Record<string, string | undefined>,
  log: Logger,
  limits: ProcessLimits,
): RetentionSchedule | undefined {
  if (every === undefined) return undefined;
  const program = fileURLToPath(new URL('../commands/metrology-server.js', import.meta.url));
  const everyMs = (durationSeconds(every) ?? 0) * 1_000;
  return scheduleRetention({ everyMs, program, environment, log, limits });
}

async function stop(signal: NodeJS.Signals, opened: Opened, log: Logger): Promise<void> {
  log.info({ signal }, 'stopping');
  opened.isStopping = true;
  try {
    await close(opened);
    log.info('stopped');
    // Ends the process even if something still hangs with the database.
    leave(0, signal);
  } catch (error) {
    log.error({ err: error }, 'did not stop in order');
    leave(1, signal);
  }
}

async function close({ fleet, sockets, finding, retention }: Opened): Promise<void> {
  const ended = retention?.close();
  // The processes that serve hold the sockets too, and accept connections until they end. If this process kept them for
  // longer, clients could still connect, and nobody would answer.
  sockets?.close();
  await fleet?.close();
  await ended;
  // A PostgreSQL that is still starting is stopped when it has started. One that failed to start has stopped by itself.
  const database = await finding?.catch(() => undefined);
  await database?.close();
}
