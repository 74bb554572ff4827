import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PostgresBinaries } from '../database/embedded/binaries.ts';
import { DATABASE, ROLE } from '../database/embedded/cluster.ts';
import { tryConnection } from '../database/embedded/postmaster.ts';
import { commandAs, type RunAs } from '../database/embedded/user.ts';
import { hasSqlstate, sqlstates } from '../database/sqlstates.ts';

/** Runs PostgreSQL for tests: a power cut loses its data, and only this user can reach it. */
export interface TestPostgres {
  /** The address of a database, by default for the superuser. */
  urlOf(database?: string, user?: string): string;
  /** Settles with a description when the processes have ended; never rejects. */
  exited: Promise<string>;
  /** @param how `clean` writes everything to disk first, `at once` does not */
  stop(how: 'clean' | 'at once'): Promise<void>;
}

export interface TestPostgresOptions {
  binaries: PostgresBinaries;
  runAs: RunAs;
  clusterDir: string;
  /** Holds the socket and the log. Whoever can enter it can log in. */
  folder: string;
  startMsMax: number;
  stopMsMax: number;
}

const settings: Record<string, string> = {
  listen_addresses: '',
  fsync: 'off',
  full_page_writes: 'off',
  synchronous_commit: 'off',
  wal_level: 'minimal',
  max_wal_senders: '0',
  wal_init_zero: 'off',
  wal_recycle: 'off',
  min_wal_size: '2MB',
  max_wal_size: '256MB',
  shared_buffers: '32MB',
  max_connections: '60',
  jit: 'off',
  max_parallel_workers_per_gather: '0',
  // In a test, a long wait for a lock is an error of the program. A deadlock should be reported within the time of the
  // test.
  deadlock_timeout: '100ms',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_line_prefix: '%m [%p] ',
};

/** PostgreSQL names its socket after a port number. No TCP port is used. */
const socketNumber = '1';

/**
 * Starts PostgreSQL on a socket in `folder`, and returns once it accepts connections. A shell is its parent: when this
 * process ends, however it ends, a pipe to the shell closes, and the shell stops PostgreSQL.
 * @throws Error with the end of its log when it does not start; then nothing is left running
 */
export async function startTestPostgres(options: TestPostgresOptions): Promise<TestPostgres> {
  const { clusterDir, folder } = options;
  const given = { ...settings, unix_socket_directories: folder, port: socketNumber };
  const args = ['-D', clusterDir, ...Object.entries(given).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
  const postgres = commandAs(options.runAs, join(options.binaries.native, 'bin', 'postgres'), args);
  const logFile = join(folder, 'postgres.log');
  const log = openSync(logFile, 'a', 0o600);
  const child = spawn('/bin/sh', ['-c', untilPipeCloses, 'sh', postgres.file, ...postgres.args], {
    ...postgres.options,
    detached: true,
    stdio: ['ignore', log, log, 'pipe'],
  });
  closeSync(log);
  const pipe = child.stdio[3] as Writable;
  pipe.on('error', () => {}); // The shell has ended already.
  let isOver = false;
  const exited = new Promise<string>((resolve) => {
    const end = (how: string) => {
      isOver = true;
      resolve(how);
    };
    child.once('exit', (code, signal) => end(signal ? `killed by ${signal}` : `ended with code ${code}`));
    child.once('error', (error) => end(error.message));
  });
  const stop = async (how: 'clean' | 'at once') => {
    pipe.end(how === 'clean' ? 'INT\n' : '');
    const inTime = await Promise.race([exited, sleep(options.stopMsMax, 'late', { ref: false })]);
    if (inTime === 'late' && child.pid) process.kill(-child.pid, 'SIGKILL');
  };
  const urlOf = addressesIn(folder);
  const problem = await whyNotReady(urlOf('postgres'), options.startMsMax, () => isOver);
  if (problem === undefined) return { urlOf, exited, stop };
  await stop('at once');
  const said = readFileSync(logFile, 'utf8').trim().slice(-2_000);
  throw new Error(`PostgreSQL did not start (${problem}); ${logFile} ends with:\n${said}`);
}

/** The addresses of the PostgreSQL whose socket is in `folder`. */
export function addressesIn(folder: string): TestPostgres['urlOf'] {
  return (database = DATABASE, user = ROLE) =>
    `postgresql://${user}@localhost/${database}?host=${encodeURIComponent(folder)}&port=${socketNumber}`;
}

/** A word from the pipe names the signal for PostgreSQL. If the pipe closes without one, PostgreSQL must end at once. */
const untilPipeCloses = `
"$@" 3<&- &
postgres=$!
(read -r signal <&3; kill -"\${signal:-QUIT}" "$postgres") 2>/dev/null &
watch=$!
exec 3<&-
wait "$postgres"
code=$?
kill "$watch" 2>/dev/null
exit "$code"
`;

async function whyNotReady(url: string, msMax: number, isOver: () => boolean): Promise<string | undefined> {
  const giveUpAt = performance.now() + msMax;
  for (;;) {
    if (isOver()) return 'it has ended';
    const refusal = await tryConnection(url);
    // It accepts connections, even if the database does not exist.
    if (refusal === undefined || hasSqlstate(refusal, sqlstates.invalidCatalogName)) return undefined;
    if (performance.now() > giveUpAt) return `${refusal.message}, for ${msMax} ms`;
    await sleep(5);
  }
}
