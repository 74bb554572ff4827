/**
 * Distributes a database over the nodes of a Citus cluster: all in one transaction, so it is whole or has not happened.
 * What is stored moves along. Only the coordinator's own copies of the moved rows are removed after the commit, table by
 * table; a run that was interrupted there is repeated (docs/decisions/0061-a-cluster-of-postgresql.md).
 */
import type pg from 'pg';
import type { OwnerDatabase } from '../database/database.ts';
import { clusterSchema, clusterTables } from '../database/distribution.ts';
import { apiRole, organizationSetting, serviceRole } from '../database/roles.ts';
import { hasSqlstate, sqlstates } from '../database/sqlstates.ts';
import { inTransaction } from '../database/transactions.ts';
import { admitRoles } from './admit-roles.ts';

type Report = (line: string) => void;

/**
 * @param report is called with a line for each step
 * @throws Error with a sentence when a node does not admit the server's roles; then nothing has been moved
 */
export async function distribute(owner: OwnerDatabase, report: Report): Promise<void> {
  await admitRoles(owner);
  await endInterrupted(owner);
  await inTransaction(owner.pool, async (client) => {
    await lockTables(client);
    // Citus changes a table that other tables refer to only one node after the other.
    await client.query(`set local citus.multi_shard_modify_mode to 'sequential'`);
    report(dropped);
    await dropUnserved(client);
    const keys = await dropForeignKeys(client);
    await client.query(newKeys);
    // Citus copies the rights on a table to its shards, but not those on a column.
    await client.query(`grant update on channels to ${apiRole}`);
    await moveTables(client, report);
    report('Adds foreign keys and policies again.');
    for (const { table, name, definition } of keys)
      await client.query(`alter table ${table} add constraint ${name} ${definition}`);
    await addPolicies(client);
    await provideFunctions(client);
  });
}

/** What the command says about what is not there afterwards. */
export const dropped =
  'Drops what a cluster does not serve: views for SQL readers, the trigger of overviews, foreign keys of moved tables to organizations ' +
  'and users; and policies with a subquery, which are replaced.';

/** A run that was killed while it committed may have left locks on the workers. Citus removes them every minute, or now. */
async function endInterrupted({ pool }: OwnerDatabase): Promise<void> {
  const { rows } = await pool.query<{ may: boolean }>(
    `select has_function_privilege('recover_prepared_transactions()', 'execute') as may`,
  );
  if (rows[0]?.may) await pool.query('select recover_prepared_transactions()');
}

async function lockTables(client: pg.PoolClient): Promise<void> {
  try {
    await client.query(`set local lock_timeout = '10s'; lock table ${walled.join(', ')}; set local lock_timeout = 0`);
  } catch (error) {
    if (!hasSqlstate(error, sqlstates.lockNotAvailable)) throw error;
    throw new Error('Another session uses the tables: end what else works in this database, and run this again.');
  }
}

async function moveTables(client: pg.PoolClient, report: Report): Promise<void> {
  for (const name of clusterTables.reference) {
    await timed(`Copies ${name} to every node.`, report, () =>
      client.query(`select create_reference_table($1::regclass)`, [name]),
    );
  }
  for (const [i, name] of clusterTables.distributed.entries()) {
    const colocateWith = i === 0 ? 'none' : clusterTables.distributed[0];
    await timed(`Moves ${name} to the node of each stream.`, report, () =>
      client.query(`select create_distributed_table($1::regclass, 'data_id', colocate_with := $2::text)`, [
        name,
        colocateWith,
      ]),
    );
  }
}

/** Says what takes long before it begins, and how long it took. */
async function timed(line: string, report: Report, work: () => Promise<unknown>): Promise<void> {
  report(line);
  const startedAt = performance.now();
  await work();
  const seconds = (performance.now() - startedAt) / 1_000;
  if (seconds >= 1) report(`  It took ${seconds.toFixed(0)} s.`);
}

/** Removes the coordinator's own copies of rows that have moved. It may be run again. */
export async function freeMoved(owner: OwnerDatabase, report: Report): Promise<void> {
  for (const name of [...clusterTables.distributed].reverse()) {
    const { rows } = await owner.pool.query<{ bytes: number }>('select pg_relation_size($1::regclass) as bytes', [
      name,
    ]);
    if (!rows[0]?.bytes) continue;
    report(`Frees the room of ${name} on the coordinator.`);
    await owner.pool.query('select truncate_local_data_after_distributing_table($1::regclass)', [name]);
  }
}

const walled = [...clusterTables.distributed, ...clusterTables.reference];

async function dropUnserved(client: pg.PoolClient): Promise<void> {
  await client.query(`
    drop view if exists runs, points, point_channels;
    drop function if exists points_between(uuid, timestamptz, timestamptz, text[]);
    drop trigger if exists forget_overviews on chunks`);
  const { rows } = await client.query<{ drop: string }>(
    `select format('drop policy %I on %s', polname, polrelid::regclass) as drop from pg_policy
     where polrelid = any ($1::regclass[])`,
    [walled],
  );
  for (const { drop } of rows) await client.query(drop);
}

interface ForeignKey {
  table: string;
  name: string;
  definition: string;
}

/**
 * Drops the foreign keys from and to the moved tables: Citus adds them once both tables are where they belong.
 * @returns those to add again: all between moved tables
 */
async function dropForeignKeys(client: pg.PoolClient): Promise<ForeignKey[]> {
  const { rows } = await client.query<ForeignKey & { isKept: boolean }>(
    `select conrelid::regclass::text as table, quote_ident(conname) as name, pg_get_constraintdef(oid) as definition,
            conrelid = any ($1::regclass[]) and confrelid = any ($1::regclass[]) as "isKept"
     from pg_constraint
     where contype = 'f' and (conrelid = any ($1::regclass[]) or confrelid = any ($1::regclass[]))
     order by conrelid::regclass::text, conname`,
    [walled],
  );
  for (const { table, name } of rows) await client.query(`alter table ${table} drop constraint ${name}`);
  return rows.filter(({ isKept }) => isKept);
}

/** A key of a distributed table contains the column by which it is distributed. */
const newKeys = `
  alter table processed_data_entries
    drop constraint processed_data_entries_pkey,
    drop constraint processed_data_entries_data_id_key,
    add primary key (data_id)`;

/**
 * The same rule as that of migration 0007, without a subquery, which Citus refuses. Workers know the organization by
 * `set local`, which Citus passes on; where it was not set, the statement fails. The comparison is written as a function:
 * from two equalities of one column the planner concludes that their other sides are equal, and before PostgreSQL 17 Citus
 * refuses an outer join with such a condition.
 */
async function addPolicies(client: pg.PoolClient): Promise<void> {
  const own = `uuid_eq(organization_id, current_setting('${organizationSetting}')::uuid)`;
  for (const name of walled) {
    await client.query(`create policy own_organization on ${name} to ${apiRole} using (${own})`);
    await client.query(`create policy every_organization on ${name} to ${serviceRole} using (true)`);
  }
}

/**
 * Functions of the tables, on every node. And a clock: Citus refuses a volatile function in an update, and evaluates a
 * stable one on the coordinator before it sends the update. The schema stands before PostgreSQL's own in the search path
 * of the server's sessions (`session.ts`).
 */
async function provideFunctions(client: pg.PoolClient): Promise<void> {
  await client.query(`
    create schema ${clusterSchema};
    create function ${clusterSchema}.clock_timestamp() returns timestamptz language sql stable
    as 'select pg_catalog.clock_timestamp()';
    grant usage on schema ${clusterSchema} to ${apiRole}, ${serviceRole}`);
  await client.query(
    `select create_distributed_function(p.oid::regprocedure) from pg_proc p
     where p.prokind = 'f' and p.prorettype <> 'trigger'::regtype and not p.prosecdef
       and p.pronamespace in ($1::regnamespace, quote_ident(current_schema())::regnamespace)
       and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')`,
    [clusterSchema],
  );
}
