import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { appendFileSync, chmodSync, chownSync, existsSync, mkdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { freePort, killPostgres, signalPostgres } from './processes.ts';

const binaries = '/usr/lib/postgresql/15/bin';

/** A PostgreSQL 15 of Debian in a folder of its own, on a port that it keeps. */
export interface Cluster {
  /** Of the superuser unless a role is named; none has a password. */
  url(database?: string, role?: string): string;
  dataDir: string;
  start(): Promise<void>;
  /** A fast shutdown. */
  stop(): Promise<void>;
  /** SIGKILL to all its processes. */
  kill(): Promise<void>;
  /** To all its processes. */
  signal(name: NodeJS.Signals): void;
  isAlive(): boolean;
  query(statement: string, database?: string): Promise<Record<string, unknown>[]>;
  /** One of its programs, such as pg_dump. @returns what it prints; @throws with what it says when it fails */
  run(program: string, args: readonly string[]): Promise<string>;
  remove(): Promise<void>;
}

export interface ClusterOptions {
  settings?: Record<string, string>;
  /** Where its folder is made; by default where temporary files are. */
  parent?: string;
  /** It is a streaming standby, begun as a copy of this one; it follows this one unless `settings.primary_conninfo` says otherwise. */
  standbyOf?: Cluster;
}

/** @throws when PostgreSQL 15 is not installed */
export async function openCluster({
  settings = {},
  parent = tmpdir(),
  standbyOf,
}: ClusterOptions = {}): Promise<Cluster> {
  if (!existsSync(join(binaries, 'initdb'))) throw new Error(`no ${binaries}/initdb: apt-get install postgresql-15`);
  const folder = await mkdtemp(join(parent, 'metrology-cluster-'));
  chmodSync(folder, 0o711);
  const dataDir = join(folder, 'data');
  mkdirSync(dataDir, { mode: 0o700 });
  const account = ownAccount(dataDir);
  const runAs = (program: string, args: readonly string[]) => [...account, join(binaries, program), ...args];
  const execute = async (program: string, args: readonly string[]) => {
    const [file = '', ...rest] = runAs(program, args);
    return (await promisify(execFile)(file, rest, { cwd: '/', maxBuffer: 2 ** 28 })).stdout;
  };
  if (standbyOf === undefined) {
    await execute('initdb', ['-D', dataDir, '--encoding=UTF8', '--locale=C.UTF-8', '--auth=trust', '-U', 'metrology']);
  } else {
    await execute('pg_basebackup', ['-D', dataDir, '-d', standbyOf.url(), '-R', '-c', 'fast', '--no-sync']);
  }
  const port = await freePort();
  let postgres: ChildProcess | undefined;
  let exited = Promise.resolve();
  let log = '';
  const isAlive = () => postgres?.exitCode === null && postgres.signalCode === null;
  const url = (database = 'postgres', role = 'metrology') => `postgresql://${role}@127.0.0.1:${port}/${database}`;
  const own = { listen_addresses: '127.0.0.1', port: String(port), unix_socket_directories: '', ...settings };
  appendFileSync(
    // The copy has the address of the one that it follows there, and the last line counts.
    join(dataDir, standbyOf === undefined ? 'postgresql.conf' : 'postgresql.auto.conf'),
    Object.entries(own)
      .map(([name, value]) => `${name} = '${value}'\n`)
      .join(''),
  );

  async function query(statement: string, database?: string) {
    const client = new pg.Client({ connectionString: url(database) });
    client.on('error', () => {});
    await client.connect();
    try {
      return (await client.query(statement)).rows as Record<string, unknown>[];
    } finally {
      await client.end();
    }
  }

  async function start(): Promise<void> {
    const [file = '', ...args] = runAs('postgres', ['-D', dataDir]);
    const child = spawn(file, args, { cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] });
    postgres = child;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log = (log + text).slice(-200_000);
    });
    exited = new Promise((resolve) => child.once('exit', () => resolve()));
    for (;;) {
      const failure = await query('select 1').then(
        () => undefined,
        (error: Error) => error,
      );
      if (failure === undefined) return;
      if (!isAlive()) throw new Error(`PostgreSQL 15 does not start:\n${log.slice(-2_000)}`);
      await sleep(20);
    }
  }

  async function stop(): Promise<void> {
    if (isAlive()) postgres?.kill('SIGINT');
    await exited;
  }

  return {
    url,
    dataDir,
    start,
    stop,
    kill: () => killPostgres(dataDir),
    signal: (name) => signalPostgres(dataDir, name),
    isAlive,
    query,
    run: execute,
    async remove() {
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** PostgreSQL refuses to run as root. @returns the words before a command that runs it as another user */
function ownAccount(dataDir: string): string[] {
  if (process.getuid?.() !== 0) return [];
  const id = (kind: string) => Number(execFileSync('id', [kind, 'postgres'], { encoding: 'utf8' }));
  chownSync(dataDir, id('-u'), id('-g'));
  return ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups', 'env', 'HOME=/tmp'];
}
