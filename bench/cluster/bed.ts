/** A database with a server of its own: on one PostgreSQL, or distributed over the nodes of a cluster. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { prepareDatabase } from '../../src/process/open-database.ts';
import { administer, spread, urlOfDatabase } from '../../test/support/global-setup.ts';
import { cpuSeconds, freePort, nodeFlags, type Running, startProcess, untilReady } from '../support/processes.ts';

const built = fileURLToPath(new URL('../../', import.meta.url));
const key = `bench-${randomBytes(16).toString('hex')}`;
const quiet = { ...console, info() {} };
export const headers = { 'X-API-KEY': key };

/** One PostgreSQL, and the process from which all its others come. */
export interface Node {
  name: string;
  /** Of the administrator, to the database of the bench. */
  client: pg.Client;
  pid: number;
}

export interface Bed {
  name: string;
  nodes: readonly Node[];
  server: Running;
  url: string;
  close(): Promise<void>;
}

/** @param adminUrls of the one PostgreSQL, or of the coordinator and its workers */
export async function openBed(name: string, adminUrls: readonly string[]): Promise<Bed> {
  const [adminUrl = '', ...workerUrls] = adminUrls;
  const database = `bench_${randomBytes(4).toString('hex')}`;
  const ends: (() => unknown)[] = [];
  const close = async () => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  try {
    for (const url of adminUrls) ends.push(() => administer(url, `drop database if exists ${database} with (force)`));
    await administer(adminUrl, `create database ${database}`);
    const databaseUrl = urlOfDatabase(adminUrl, database);
    const addresses = { connectionString: databaseUrl, ownerUrl: databaseUrl, place: '', ownsLogin: false };
    const limits = { databaseWaitMsMax: 30_000, databasePauseMs: 100, waitLogMs: 1_000 };
    await prepareDatabase(addresses, quiet as never, { limits, mustBeDurable: true });
    if (workerUrls.length > 0) await spread(adminUrl, [...workerUrls], database);
    const nodes: Node[] = [];
    for (const [i, one] of adminUrls.entries()) {
      const node = await openNode(nameOf(i, adminUrls.length), urlOfDatabase(one, database));
      ends.push(() => node.client.end());
      nodes.push(node);
    }
    const { running, url } = await startServer(databaseUrl);
    ends.push(() => running.stop());
    return { name, nodes, server: running, url, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function nameOf(index: number, count: number): string {
  if (count === 1) return 'one PostgreSQL';
  return index === 0 ? 'coordinator' : `worker ${index}`;
}

async function openNode(name: string, url: string): Promise<Node> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  const { rows } = await client.query(`select current_setting('data_directory') as folder`);
  const pid = Number(readFileSync(join(rows[0].folder, 'postmaster.pid'), 'utf8').split('\n')[0]);
  return { name, client, pid };
}

async function startServer(databaseUrl: string): Promise<{ running: Running; url: string }> {
  const port = await freePort();
  const running = startProcess(process.execPath, [...nodeFlags, join(built, 'src/main.js')], {
    PORT: String(port),
    DATABASE_URL: databaseUrl,
    BOOTSTRAP_API_KEY: key,
    LOG_LEVEL: 'error',
    EXPORT_CACHE_BYTES: '0',
  });
  const url = `http://127.0.0.1:${port}`;
  await untilReady(running, `${url}/readyz`);
  return { running, url };
}

/** Seconds of processor that a process and its descendants have used. */
export const secondsOf = (pid: number) => Object.values(cpuSeconds(pid)).reduce((all, one) => all + one, 0);

/** Connections to the database of the bench, without the one that asks. */
export async function connectionsOf({ client }: Node): Promise<number> {
  const { rows } = await client.query(
    `select count(*)::integer as count from pg_stat_activity
     where backend_type = 'client backend' and datname = current_database() and pid <> pg_backend_pid()`,
  );
  return rows[0].count;
}

/** What has been committed in the database of the bench; each session tells its count once a second. */
export async function transactionsOf({ client }: Node): Promise<number> {
  const { rows } = await client.query(
    'select xact_commit::float8 as count from pg_stat_database where datname = current_database()',
  );
  return rows[0].count;
}

/** Bytes of all tables, of all their shards, and of their indexes on this node. */
export async function bytesOf({ client }: Node): Promise<number> {
  await client.query('checkpoint');
  // A worker hides shards from what lists tables, unless it is told not to.
  const isOfCluster = await client.query(`select from pg_extension where extname = 'citus'`);
  if (isOfCluster.rowCount) await client.query('set citus.override_table_visibility = off');
  const { rows } = await client.query(
    `select sum(pg_total_relation_size(c.oid))::float8 as bytes
     from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'public' and c.relkind = 'r'`,
  );
  return rows[0].bytes;
}
