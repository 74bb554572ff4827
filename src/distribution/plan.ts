/** What `distribute` finds, before it changes anything. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { OwnerDatabase } from '../database/database.ts';
import { clusterTables, isDistributed } from '../database/distribution.ts';
import { findWorkers } from './cluster-checks.ts';

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

/** @throws Error with a sentence when the database cannot be distributed as it is */
export async function planDistribution(owner: OwnerDatabase): Promise<DistributionPlan> {
  const workers = await findWorkers(owner.pool);
  const isDone = await isDistributed(owner.pool);
  if (!isDone) await refuseUses(owner);
  return { isDone, nodes: workers.map(({ name }) => name), tables: await tablesOf(owner) };
}

async function tablesOf({ pool }: OwnerDatabase): Promise<TablePlan[]> {
  const { local: _, ...moved } = clusterTables;
  const plan = Object.entries(moved).flatMap(([becomes, names]) => names.map((name) => ({ name, becomes })));
  const { rows } = await pool.query<TablePlan>(
    `select name, becomes, reltuples::bigint as rows, pg_total_relation_size(to_regclass(name)) as bytes
     from unnest($1::text[], $2::text[]) with ordinality as r (name, becomes, position)
     join pg_class c on c.oid = to_regclass(name) order by position`,
    [plan.map(({ name }) => name), plan.map(({ becomes }) => becomes)],
  );
  for (const table of rows) table.rows = table.rows < 0 ? await countRows(pool, table.name) : table.rows;
  return rows;
}

/** Of a table that was never analyzed: so it is small, or new. */
async function countRows(pool: OwnerDatabase['pool'], name: string): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(`select count(*) from ${name}`);
  return rows[0]?.count ?? 0;
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

/**
 * Looks for as long as a server may be without a connection: it makes one for its own check every second
 * (`readinessEveryMs`). Connections of this command itself, which it has just closed, may still end meanwhile.
 */
async function areServersConnected(pool: OwnerDatabase['pool']): Promise<boolean> {
  let absentSince: number | undefined;
  for (let tries = 0; tries < 50; tries++) {
    const { rows } = await pool.query<{ count: number }>(
      `select count(*) from pg_stat_activity
       where datname = current_database() and application_name = 'metrology-server' and pid <> pg_backend_pid()`,
    );
    absentSince = rows[0]?.count === 0 ? (absentSince ?? performance.now()) : undefined;
    if (absentSince !== undefined && performance.now() - absentSince > absentMs) return false;
    await sleep(100);
  }
  return true;
}

const absentMs = 1_500;
