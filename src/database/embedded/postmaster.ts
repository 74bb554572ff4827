import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DatabaseClient } from '../driver.ts';
import { hasSqlstate, sqlstates } from '../sqlstates.ts';
import { DATABASE, ROLE } from './cluster.ts';
import type { EmbeddedLimits } from './limits.ts';
import type { EmbeddedLog } from './log.ts';
import { clearOldBackends, mendPostmasterFile, stopPostmaster } from './processes.ts';
import { shorten } from './room.ts';
import { settingsArguments } from './settings.ts';
import { commandAs, type RunAs } from './user.ts';

/** A running PostgreSQL that this process has started. */
export interface Postmaster {
  pid: number;
  port: number;
  connectionString: string;
  /** Resolves when the process has ended, with how it ended; never rejects. */
  exited: Promise<string>;
  isAlive(): boolean;
}

export interface PostmasterOptions {
  postgres: string;
  clusterDir: string;
  runAs: RunAs;
  password: string;
  settings: Record<string, string>;
  logFile: string;
  log: EmbeddedLog;
  stopWaitMsMax: number;
  choosePort: () => Promise<number>;
  limits: EmbeddedLimits;
}

/** Recovery after a crash replays up to max_wal_size, so the wait for a start is long. */
const READY_WAIT_MS_MAX = 600_000;
const START_ATTEMPTS_MAX = 10;

/** The address of the embedded PostgreSQL at `port`. */
export function connectionStringFor(port: number, password: string, database = DATABASE): string {
  return `postgresql://${ROLE}:${password}@127.0.0.1:${port}/${database}?sslmode=disable`;
}

/** The same as `startPostmaster`, on a free port that it chooses. */
export async function startOnFreePort(options: PostmasterOptions, signal: AbortSignal): Promise<Postmaster> {
  for (let attempt = 1; ; attempt++) {
    const port = await options.choosePort();
    try {
      return await startPostmaster(options, port, signal);
    } catch (error) {
      const held = (error as Error).message.includes('pre-existing shared memory block');
      // Another program took the port between our check and PostgreSQL's, or old backends are there that we cannot see.
      // Anything else would fail again.
      if (attempt === START_ATTEMPTS_MAX || (!held && (await isFree(port)))) throw error;
      if (held) await sleep(1_000);
    }
  }
}

/**
 * Starts PostgreSQL and returns when it accepts connections to its database. It runs in a process group of its own, so
 * a Ctrl-C in the terminal reaches this server only, which then stops both in order.
 *
 * @throws Error with the end of its log when it does not start; then nothing is left running
 */
export async function startPostmaster(
  options: PostmasterOptions,
  port: number,
  signal: AbortSignal,
): Promise<Postmaster> {
  const { clusterDir, logFile, log } = options;
  const left = await clearOldBackends(clusterDir);
  if (left > 0) log.warn({ processes: left }, 'waited for old PostgreSQL processes to end');
  mendPostmasterFile(clusterDir);
  shorten(logFile, options.limits.logBytesMax);
  const logStart = sizeOf(logFile);
  const postmaster = launch(options, port);
  try {
    await waitUntilReady(postmaster, options.password, log, signal);
    return postmaster;
  } catch (error) {
    if (postmaster.isAlive()) await stopPostmaster(postmaster.pid, options.stopWaitMsMax, postmaster.isAlive);
    const tail = readFrom(logFile, logStart);
    throw new Error(`PostgreSQL did not start: ${(error as Error).message}\n${logFile} ends with:\n${tail}`, {
      cause: error,
    });
  }
}

function launch(options: PostmasterOptions, port: number): Postmaster {
  const args = ['-D', options.clusterDir, ...settingsArguments(port, options.settings)];
  const command = commandAs(options.runAs, options.postgres, args);
  const logDescriptor = openSync(options.logFile, 'a', 0o600);
  const stdio: ['ignore', number, number] = ['ignore', logDescriptor, logDescriptor];
  const child = spawn(command.file, command.args, { ...command.options, detached: true, stdio });
  closeSync(logDescriptor);
  child.unref();
  let alive = child.pid !== undefined;
  const exited = new Promise<string>((resolve) => {
    const end = (how: string) => {
      alive = false;
      resolve(how);
    };
    child.once('exit', (code, killedBy) => end(killedBy ? `killed by ${killedBy}` : `ended with code ${code}`));
    child.once('error', (error) => end(error.message));
  });
  const connectionString = connectionStringFor(port, options.password);
  return { pid: child.pid ?? 0, port, connectionString, exited, isAlive: () => alive };
}

async function waitUntilReady(
  postmaster: Postmaster,
  password: string,
  log: EmbeddedLog,
  signal: AbortSignal,
): Promise<void> {
  const start = performance.now();
  let isLogged = false;
  while (performance.now() - start < READY_WAIT_MS_MAX) {
    signal.throwIfAborted();
    if (!postmaster.isAlive()) throw new Error(await postmaster.exited);
    // If another program has the port, PostgreSQL ends long before the connection to that program times out.
    const ended = postmaster.exited.then((how) => new Error(how));
    const refusal = await Promise.race([tryConnection(postmaster.connectionString), ended]);
    if (refusal === undefined) return;
    if (hasSqlstate(refusal, sqlstates.invalidCatalogName)) {
      await createDatabase(connectionStringFor(postmaster.port, password, 'postgres'));
    }
    // A wrong password: the file is not the one with which the cluster was created. Waiting does not help.
    if (hasSqlstate(refusal, sqlstates.invalidPassword)) throw refusal;
    if (!isLogged && performance.now() - start > 3_000) {
      isLogged = true;
      log.info({ answer: refusal.message }, 'PostgreSQL is not ready yet; after a crash it first replays its log');
    }
    await sleep(10);
  }
  throw new Error(`not ready after ${READY_WAIT_MS_MAX / 1000} s`);
}

/** undefined when a connection to this address works, otherwise the reason why not. */
export async function tryConnection(connectionString: string): Promise<Error | undefined> {
  const client = new DatabaseClient({ connectionString, connectionTimeoutMillis: 2_000 });
  client.on('error', () => {}); // A connection that breaks also rejects the call below, which reports it.
  try {
    await client.connect();
    return undefined;
  } catch (error) {
    return error as Error;
  } finally {
    await client.end().catch(() => {}); // There is nothing to lose on it.
  }
}

async function createDatabase(connectionString: string): Promise<void> {
  const client = new DatabaseClient({ connectionString, connectionTimeoutMillis: 2_000 });
  await client.connect();
  try {
    await client.query(`create database ${DATABASE}`);
  } finally {
    await client.end();
  }
}

/**
 * Chooses the port of the last start if it is free, so that other tools of the operator still find the database there;
 * otherwise any port.
 */
export function portAsBefore(clusterDir: string): () => Promise<number> {
  let isFirst = true;
  return async () => {
    const options = join(clusterDir, 'postmaster.opts');
    const before = isFirst && existsSync(options) ? /"port=(\d+)"/.exec(readFileSync(options, 'utf8'))?.[1] : undefined;
    isFirst = false;
    return before !== undefined && (await isFree(Number(before))) ? Number(before) : freePort();
  };
}

/**
 * A port below the range that the system uses for outgoing connections. Otherwise an outgoing connection, even our own
 * attempt to reconnect, could take the port while PostgreSQL restarts.
 */
async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if (await isFree(port)) return port;
  }
  throw new Error('found no free TCP port between 20000 and 32000 on 127.0.0.1');
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => probe.close(() => resolve(true)));
  });
}

const sizeOf = (file: string) => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

function readFrom(logFile: string, start: number): string {
  const size = sizeOf(logFile);
  const buffer = Buffer.alloc(Math.min(2_000, Math.max(0, size - start)));
  if (buffer.length === 0) return '(nothing)';
  const file = openSync(logFile, 'r');
  readSync(file, buffer, 0, buffer.length, size - buffer.length);
  closeSync(file);
  return buffer.toString('utf8').trim();
}
