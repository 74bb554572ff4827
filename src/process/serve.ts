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
 * closed. SIGUSR2 replaces what serves by the program that is installed by then. This process holds the sockets and the
 * embedded PostgreSQL; what serves are processes that it starts. Logs go to standard error; standard output is for
 * people.
 * @param environment tells which of these processes this one is, and what systemd hands over
 * @throws when it cannot start; what was opened by then is closed again.
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
  // A wrong file is told before anything is opened.
  if (part === undefined && config.PROVISIONING_FILE !== undefined) {
    const { readProvisioning } = await import('../provisioning/provisioning-file.ts');
    readProvisioning(config.PROVISIONING_FILE, environment);
  }
  if (part !== undefined) {
    // Not part of what holds the sockets: it would keep 60 MB of what serves in memory.
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
    // What hangs with the database does not keep the process.
    leave(0, signal);
  } catch (error) {
    log.error({ err: error }, 'did not stop in order');
    leave(1, signal);
  }
}

async function close({ fleet, sockets, finding, retention }: Opened): Promise<void> {
  const ended = retention?.close();
  // What serves has them too, and takes connections until it has answered all. Held here for longer, they would let clients
  // connect whom nobody answers any more.
  sockets?.close();
  await fleet?.close();
  await ended;
  // One that is still being started is stopped once it is there; one that cannot start has stopped by itself.
  const database = await finding?.catch(() => undefined);
  await database?.close();
}
