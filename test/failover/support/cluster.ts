import { execFile, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { readConfiguration } from './configuration.ts';
import { createMachine, type Machine } from './machine.ts';

const programs = {
  '/usr/bin/etcd': 'etcd-server',
  '/usr/bin/patroni': 'patroni',
  '/usr/sbin/haproxy': 'haproxy',
  '/usr/lib/postgresql/15/bin/initdb': 'postgresql-15',
};
export const database = 'metrology';
const wholeMsMax = 120_000;

/** Three machines with PostgreSQL 15 under Patroni, and HAProxy in front, by the files of deploy/high-availability. */
export interface Cluster {
  machines: readonly Machine[];
  /** Through HAProxy, wherever the primary is. */
  url(role?: 'owner' | 'app' | 'superuser'): string;
  /** Who Patroni says is the primary. @throws when there is none for a minute */
  primary(): Promise<Machine>;
  /** ms until there are a primary and two standbys that stream, one of them synchronous. @throws after two minutes */
  untilWhole(): Promise<number>;
  /**
   * How often each etcd that answers has seen its leader change since it was started, by machine. Each change extends all leases,
   * that of the primary too.
   */
  leaderChanges(): Promise<ReadonlyMap<string, number>>;
  /** A planned switch-over, as `patronictl switchover` asks for it. @returns whom it promoted */
  switchOver(): Promise<Machine>;
  /** `patronictl edit-config` */
  configure(settings: Record<string, unknown>): Promise<void>;
  remove(): Promise<void>;
}

interface Member {
  name: string;
  role: string;
  state: string;
}

/** @throws when a program is missing, or when the cluster is not there within two minutes */
export async function openCluster(): Promise<Cluster> {
  for (const [path, name] of Object.entries(programs)) {
    if (!existsSync(path)) throw new Error(`no ${path}: apt-get install ${name}`);
  }
  const folder = await mkdtemp(join(tmpdir(), 'metrology-failover-'));
  await chmod(folder, 0o755);
  // Addresses of loopback that no other run has.
  const network = `127.${randomInt(1, 255)}.${randomInt(1, 255)}`;
  const configuration = await readConfiguration(network, folder);
  const machines = configuration.machines.map(createMachine);
  const haproxyFile = join(folder, 'haproxy.cfg');
  await writeFile(haproxyFile, configuration.haproxy);
  // Nothing of this may outlive the test, however that ends.
  const leash = spawn('python3', [join(import.meta.dirname, 'leash.py'), folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const ended = new Promise((resolve) => leash.once('exit', resolve));

  const { passwords } = configuration;
  const urlOf = (role: keyof typeof passwords, name: string) => {
    const user = { owner: 'metrology_owner', app: 'metrology_app', superuser: 'postgres' }[role];
    return `postgresql://${user}:${passwords[role]}@${configuration.haproxyAddress}/${name}`;
  };

  /** Asks the machines in turn, since one that is frozen does not answer. */
  async function members(): Promise<Member[]> {
    for (const { address } of machines) {
      const found = await fetch(`http://${address}:8008/cluster`, { signal: AbortSignal.timeout(2_000) })
        .then((answer) => answer.json() as Promise<{ members: Member[] }>)
        .catch(() => undefined);
      if (found?.members !== undefined) return found.members;
    }
    return [];
  }

  async function untilWhole(): Promise<number> {
    const startedAt = performance.now();
    for (;;) {
      const all = await members();
      const isWhole =
        all.some(({ role, state }) => role === 'leader' && state === 'running') &&
        all.some(({ role }) => role === 'sync_standby') &&
        all.filter(({ role, state }) => role !== 'leader' && ['running', 'streaming'].includes(state)).length === 2;
      if (isWhole && (await isTaken())) return performance.now() - startedAt;
      if (performance.now() - startedAt > wholeMsMax) {
        throw new Error(
          `the cluster is not whole: ${JSON.stringify(all)} ${lastError}\n${machines.map((one) => `${one.name}:\n${one.log()}`).join('\n')}`,
        );
      }
      await sleep(200);
    }
  }

  let lastError = '';
  async function isTaken(): Promise<boolean> {
    return query(urlOf('superuser', 'postgres'), 'select 1').then(
      () => true,
      (error: Error) => {
        lastError = error.message;
        return false;
      },
    );
  }

  async function primary(): Promise<Machine> {
    const until = performance.now() + 60_000;
    while (performance.now() < until) {
      const leader = (await members()).find(({ role }) => role === 'leader');
      const found = machines.find(({ name }) => name === leader?.name);
      if (found !== undefined) return found;
      await sleep(200);
    }
    throw new Error('no machine is the primary');
  }

  async function post(method: string, path: string, body: object): Promise<void> {
    const { address } = await primary();
    const answer = await fetch(`http://${address}:8008${path}`, { method, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  }

  const cluster: Cluster = {
    machines,
    url: (role = 'app') => urlOf(role, database),
    primary,
    untilWhole,
    async leaderChanges() {
      const counts = await Promise.all(
        machines.map(async ({ name, address }) => {
          const answer = await fetch(`http://${address}:2379/metrics`, { signal: AbortSignal.timeout(2_000) }).catch(
            () => undefined,
          );
          const count = /^etcd_server_leader_changes_seen_total (\d+)/m.exec((await answer?.text()) ?? '')?.[1];
          return count === undefined ? [] : [[name, Number(count)] as const];
        }),
      );
      return new Map(counts.flat());
    },
    async switchOver() {
      const { name } = await primary();
      const candidate = (await members()).find(({ role }) => role === 'sync_standby');
      await post('POST', '/switchover', { leader: name, candidate: candidate?.name });
      const after = await primary();
      if (after.name === name) throw new Error('the switch-over left the primary where it was');
      return after;
    },
    configure: (settings) => post('PATCH', '/config', settings),
    async remove() {
      leash.stdin.end();
      await ended;
    },
  };
  try {
    for (const machine of machines) machine.start();
    await promisify(execFile)('/usr/sbin/haproxy', ['-c', '-f', haproxyFile]);
    spawn('/usr/sbin/haproxy', ['-db', '-f', haproxyFile], { stdio: 'ignore' });
    await untilWhole();
    const url = urlOf('superuser', 'postgres');
    await query(url, `create role metrology_owner login createrole password '${passwords.owner}'`);
    await query(url, `create database ${database} owner metrology_owner`);
    return cluster;
  } catch (error) {
    await cluster.remove();
    throw error;
  }
}

/** One statement on a connection of its own, which is given up after two seconds without an answer. */
export async function query(
  connectionString: string,
  statement: string,
  values: unknown[] = [],
  msMax = 2_000,
): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: msMax, query_timeout: msMax });
  client.on('error', () => {});
  try {
    await client.connect();
    return (await client.query(statement, values)).rows as Record<string, unknown>[];
  } finally {
    // A frozen server never says goodbye.
    await Promise.race([client.end().catch(() => {}), sleep(200, undefined, { ref: false })]);
  }
}
