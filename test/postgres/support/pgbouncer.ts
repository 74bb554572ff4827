import { spawn } from 'node:child_process';
import { chmodSync, chownSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { freePort } from '../../../bench/support/processes.ts';
import { accountOf, asAccount } from '../../failover/support/account.ts';
import type { Cluster } from '../../faults/support/postgres-15.ts';

export interface PgBouncer {
  url(database: string, role?: string): string;
  /** Writes its settings anew and lets it read them. */
  set(settings: Record<string, string>): Promise<void>;
  close(): Promise<void>;
}

/** Debian's PgBouncer before a cluster, on a port of its own. */
export async function startPgBouncer(cluster: Cluster, settings: Record<string, string>): Promise<PgBouncer> {
  const folder = await mkdtemp(join(tmpdir(), 'metrology-pgbouncer-'));
  const port = await freePort();
  const behind = new URL(cluster.url());
  const iniFile = join(folder, 'pgbouncer.ini');
  const write = (changed: Record<string, string>) => {
    const all = {
      listen_addr: '127.0.0.1',
      listen_port: String(port),
      unix_socket_dir: '',
      auth_type: 'any',
      admin_users: 'metrology',
      ...changed,
    };
    const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}`);
    const target = `* = host=${behind.hostname} port=${behind.port} user=metrology`;
    writeFileSync(iniFile, `[databases]\n${target}\n[pgbouncer]\n${lines.join('\n')}\n`);
  };
  write(settings);
  const account = accountOf();
  if (account !== undefined) chownSync(folder, account.uid, account.gid);
  chmodSync(folder, 0o755);
  const [program = '', ...args] = asAccount('pgbouncer', [iniFile]);
  let log = '';
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  child.stderr.on('data', (text) => {
    log += text;
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const url = (database: string, role = 'metrology') => `postgresql://${role}@127.0.0.1:${port}/${database}`;
  const ask = async (database: string, statement: string) => {
    const client = new pg.Client({ connectionString: url(database), query_timeout: 5_000 });
    client.on('error', () => {});
    await client.connect();
    // Its console takes simple statements only.
    await client.query(statement).finally(() => client.end().catch(() => {}));
  };
  for (let left = 200; ; left--) {
    const failure = await ask('pgbouncer', 'show version').then(
      () => undefined,
      (error: Error) => error,
    );
    if (failure === undefined) break;
    if (left === 0 || child.exitCode !== null) throw new Error(`PgBouncer does not start: ${failure.message}\n${log}`);
    await sleep(25);
  }
  return {
    url,
    async set(changed) {
      write(changed);
      await ask('pgbouncer', 'reload');
    },
    async close() {
      child.kill('SIGKILL');
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
