import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { distFolder, projectFolder } from './places.ts';
import { runToEnd } from './run-to-end.ts';

export interface ServerProcess {
  readonly url: string;
  readonly apiKey: string;
  readonly env: NodeJS.ProcessEnv;
  /** The newest lines that the server wrote to its standard output and error. */
  lastLines(count: number): string[];
  /** Ends the process by SIGTERM and removes its data; throws when it did not stop in order. Safe to call twice. */
  stop(): Promise<void>;
}

const readyMsMax = 60_000;
const stopMsMax = 30_000;
const keptLines = 500;
const keyMsMax = 60_000;

/**
 * Starts the built server on a free port with data of its own: a database made for it when DATABASE_URL is set,
 * otherwise the embedded PostgreSQL in a new temporary folder. Returns when `/readyz` answers 200.
 */
export async function startServer(settings: Record<string, string>): Promise<ServerProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'metrology-sdk-'));
  const database = process.env.DATABASE_URL === undefined ? undefined : await createDatabase(process.env.DATABASE_URL);
  const dataFolder = join(folder, 'data');
  const port = await freePort();
  const apiKey = `sdk-suite-${randomBytes(16).toString('hex')}`;
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    HOST: '127.0.0.1',
    PORT: String(port),
    DATA_DIR: dataFolder,
    BOOTSTRAP_API_KEY: apiKey,
    ...(database === undefined ? {} : { DATABASE_URL: database.url }),
    ...settings,
  };
  const child = spawn(process.execPath, [join(distFolder, 'main.js')], {
    cwd: projectFolder,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines = keepLines(child);
  const removeData = async () => {
    await database?.drop();
    await rm(folder, { recursive: true, force: true });
  };
  const url = `http://127.0.0.1:${port}`;
  await untilReady(child, url, lines).catch(async (reason) => {
    await endProcess(child, dataFolder).catch(() => undefined);
    await removeData();
    throw reason;
  });
  let stopped: Promise<void> | undefined;
  return {
    url,
    apiKey,
    env,
    lastLines: (count) => lines.slice(-count),
    stop: () => {
      stopped ??= endProcess(child, dataFolder).finally(removeData);
      return stopped;
    },
  };
}

/** Makes a key by the command line, beside the running server, and returns it. */
export async function createKey(server: ServerProcess, organization: string, user: string): Promise<string> {
  const args = [join(distFolder, 'commands/cli.js'), 'keys', 'create', '--organization', organization, '--user', user];
  const key = await runToEnd(process.execPath, args, { cwd: projectFolder, env: server.env, msMax: keyMsMax });
  if (!/^\S+\n?$/.test(key)) throw new Error(`keys create printed something else than one key: ${JSON.stringify(key)}`);
  return key.trim();
}

async function untilReady(child: ChildProcess, url: string, lines: readonly string[]): Promise<void> {
  const giveUpAtMs = Date.now() + readyMsMax;
  while (Date.now() < giveUpAtMs) {
    if (child.exitCode !== null || child.signalCode !== null) break;
    const answer = await fetch(`${url}/readyz`).catch(() => undefined);
    if (answer?.status === 200) return;
    await sleep(50);
  }
  const state = child.exitCode ?? child.signalCode ?? `not ready after ${readyMsMax} ms`;
  throw new Error(`The server did not become ready (${state}):\n${lines.slice(-40).join('\n')}`);
}

/** Asks the server to stop; it has to be running still, to leave with code 0 and to take its PostgreSQL with it. */
async function endProcess(child: ChildProcess, dataFolder: string): Promise<void> {
  const endedByItself = child.exitCode ?? child.signalCode;
  const ended = new Promise<boolean>((resolve) => child.once('exit', () => resolve(true)));
  if (endedByItself === null) child.kill('SIGTERM');
  const inTime = endedByItself !== null || (await Promise.race([ended, sleep(stopMsMax, false)]));
  if (!inTime) {
    child.kill('SIGKILL');
    await ended;
  }
  const left = await killPostgres(dataFolder);
  if (endedByItself !== null) throw new Error(`The server had ended by itself (${endedByItself})`);
  if (!inTime) throw new Error(`The server was still running ${stopMsMax} ms after SIGTERM`);
  if (child.exitCode !== 0) throw new Error(`The server left with ${child.exitCode ?? child.signalCode}`);
  if (left) throw new Error('The server left its PostgreSQL running');
}

/** Ends a PostgreSQL that still runs on the data folder, which is about to be removed; says whether there was one. */
async function killPostgres(dataFolder: string): Promise<boolean> {
  const pidFile = await readFile(join(dataFolder, 'postgres/postmaster.pid'), 'utf8').catch(() => '');
  const pid = Number.parseInt(pidFile, 10);
  if (!(pid > 1)) return false;
  try {
    process.kill(pid, 'SIGQUIT');
    return true;
  } catch {
    return false;
  }
}

function keepLines(child: ChildProcess): string[] {
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    let rest = '';
    stream?.setEncoding('utf8').on('data', (text: string) => {
      const parts = (rest + text).split('\n');
      rest = parts.pop() ?? '';
      lines.push(...parts);
      if (lines.length > keptLines) lines.splice(0, lines.length - keptLines);
    });
  }
  return lines;
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('No port was given');
  return address.port;
}

async function createDatabase(adminUrl: string): Promise<{ url: string; drop: () => Promise<void> }> {
  const name = `sdk_suite_${randomBytes(6).toString('hex')}`;
  await onServer(adminUrl, `create database ${name}`);
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => onServer(adminUrl, `drop database if exists ${name} with (force)`) };
}

async function onServer(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
