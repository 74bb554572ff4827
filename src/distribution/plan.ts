/** What `distribute` finds, before it changes anything. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { OwnerDatabase } from '../database/database.ts';
import { clusterTables, isDistributed } from '../database/distribution.ts';

export interface TablePlan {
  name: string;
  becomes: 'distributed' | 'reference';
  /** As PostgreSQL estimates it. */
  rows: number;
  bytes: number;
}

export interface DistributionPlan {
  /** Nothing is left to do but to free the room of what was moved. */
  isDone: boolean;
  nodes: string[];
  tables: TablePlan[];
}

/** The oldest Citus that has been tried. */
const majorMin = 12;

/** @throws Error with a sentence when the database cannot be distributed as it is */
export async function planDistribution(owner: OwnerDatabase): Promise<DistributionPlan> {
  const { rows } = await owner.pool.query<{ version: string }>(
    `select extversion as version from pg_extension where extname = 'citus'`,
  );
  const version = rows[0]?.version;
  if (version === undefined)
    throw new Error(
      'The database has no extension "citus": run "create extension citus" on the coordinator and on each worker.',
    );
  if (Number.parseInt(version, 10) < majorMin)
    throw new Error(`The database has Citus ${version}; Citus ${majorMin} or newer is needed.`);
  const nodes = await workersOf(owner);
  if (nodes.length === 0)
    throw new Error(`The cluster has no workers: add them with "select citus_add_node('host', 5432)" (docs/scale.md).`);
  const isDone = await isDistributed(owner.pool);
  if (!isDone) await refuseUses(owner);
  return { isDone, nodes, tables: await tablesOf(owner) };
}

/** The nodes that take shards, as `host:port`. */
async function workersOf({ pool }: OwnerDatabase): Promise<string[]> {
  const { rows } = await pool.query<{ node: string }>(
    `select nodename || ':' || nodeport as node from pg_dist_node
     where noderole = 'primary' and isactive and shouldhaveshards order by nodeid`,
  );
  return rows.map(({ node }) => node);
}

async function tablesOf({ pool }: OwnerDatabase): Promise<TablePlan[]> {
  const plan = Object.entries(clusterTables).flatMap(([becomes, names]) => names.map((name) => ({ name, becomes })));
  const { rows } = await pool.query<TablePlan>(
    `select name, becomes, greatest(reltuples, 0)::bigint as rows, pg_total_relation_size(to_regclass(name)) as bytes
     from unnest($1::text[], $2::text[]) with ordinality as r (name, becomes, position)
     join pg_class c on c.oid = to_regclass(name) order by position`,
    [plan.map(({ name }) => name), plan.map(({ becomes }) => becomes)],
  );
  return rows;
}

/** @throws Error with a sentence when the database is in use in a way that a cluster does not serve */
async function refuseUses({ pool }: OwnerDatabase): Promise<void> {
  if (await areServersConnected(pool))
    throw new Error('Servers are connected to the database: stop them, distribute it, and start them again.');
  const readers = await pool.query<{ name: string }>(`select role_name as name from sql_readers order by 1`);
  if (readers.rowCount)
    throw new Error(
      `The database has SQL readers (${readers.rows.map(({ name }) => name).join(', ')}), and a cluster serves none ` +
        '(docs/scale.md#sql): drop them with "metrology-server sql-readers drop".',
    );
}

/** Connections of this command itself, which it has just closed, may still end. */
async function areServersConnected(pool: OwnerDatabase['pool']): Promise<boolean> {
  for (let tries = 0; tries < 20; tries++) {
    const { rows } = await pool.query<{ count: number }>(
      `select count(*) from pg_stat_activity
       where datname = current_database() and application_name = 'metrology-server' and pid <> pg_backend_pid()`,
    );
    if (rows[0]?.count === 0) return false;
    await sleep(100);
  }
  return true;
}
