/**
 * Runs migrations while servers keep running. Each migration is a transaction of its own. It waits at most `lockMsMax`
 * for a lock, then it rolls back, lets all others go on, and is retried
 * (docs/decisions/0014-migrations-in-short-tries.md).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { Logger } from 'pino';
import type { OwnerDatabase } from './database.ts';
import { isDistributed } from './distribution.ts';
import { databaseLimits } from './limits.ts';
import { holdersBefore, holdersOfAdvisoryLock, type LockHolder } from './lock-holders.ts';
import {
  foreignProblem,
  type MigrationFile,
  pendingOf,
  type RanMigration,
  ranMigrations,
  readMigrations,
  shippedFolder,
} from './migrations.ts';
import { hasSqlstate, sqlstates } from './sqlstates.ts';
import { statementsOf } from './statements.ts';

export interface MigrateOptions {
  folder?: URL;
  /** Called with what runs, and for whom it waits. */
  log?: Pick<Logger, 'info' | 'warn'>;
  /** Longest wait for a lock in one try, and the pause before the next one. */
  lockMsMax?: number;
  lockPauseMs?: number;
  /** How often the log repeats that something waits. */
  tellMs?: number;
}

type Options = Required<MigrateOptions>;

const silent = { info() {}, warn() {} };

/**
 * Runs the migrations that the database does not have yet, in order. Several servers may start at once: one migrates,
 * the others wait and find nothing to do. It waits for locks as long as other sessions hold them, and logs that. Since
 * a migration may rewrite a table of any size, pass a database that was opened with `statementMsMax: 0`.
 * @returns the names of those that ran
 * @throws when one fails: it is rolled back, those before it stay; or when the database is of a newer release, beside
 * which this one may not serve
 */
export async function migrate(database: OwnerDatabase, options: MigrateOptions = {}): Promise<string[]> {
  const { migrationLockMsMax, migrationPauseMs, migrationTellMs } = databaseLimits;
  const all: Options = {
    folder: shippedFolder,
    log: silent,
    lockMsMax: migrationLockMsMax,
    lockPauseMs: migrationPauseMs,
    tellMs: migrationTellMs,
    ...options,
  };
  const files = await readMigrations(all.folder);
  // Without work to do it does not wait for the lock.
  if (!(await isWorkLeft(database, files))) return [];
  const client = await database.pool.connect();
  let failure: Error | undefined;
  try {
    await takeTurn(client, all);
    await keepRecords(client, database, files, all);
    return await runPending(client, database, files, all);
  } catch (error) {
    failure = error as Error;
    throw error;
  } finally {
    // Closing the session releases the lock.
    client.release(failure ?? true);
  }
}

/** @throws when the database is of a newer release, beside which this one may not serve */
async function isWorkLeft(database: OwnerDatabase, files: MigrationFile[]): Promise<boolean> {
  const ran = await ranMigrations(database);
  const problem = foreignProblem(files, ran);
  if (problem !== undefined) throw new Error(problem);
  return pendingOf(files, ran).length > 0 || unrecorded(files, ran).length > 0;
}

/**
 * The advisory lock of Kysely's migrator, which the first releases used: so one of those that starts meanwhile waits as
 * well. It is taken by `pg_try_advisory_lock`, not waited for, so that the log can say who holds it.
 */
const turnLock = '3853314791062309107';

async function takeTurn(client: pg.PoolClient, options: Options): Promise<void> {
  const report = createReporter(options);
  for (;;) {
    const { rows } = await client.query<{ taken: boolean }>('select pg_try_advisory_lock($1::bigint) as taken', [
      turnLock,
    ]);
    if (rows[0]?.taken) return;
    report(
      'the lock of migrations is held by another session; waiting',
      {},
      await holdersOfAdvisoryLock(client, turnLock),
    );
    await sleep(Math.min(options.lockPauseMs, turnPauseMs));
  }
}

const turnPauseMs = 200;

/** Creates the table of migrations and its columns, and completes the rows of releases that recorded less. */
async function keepRecords(
  client: pg.PoolClient,
  database: OwnerDatabase,
  files: MigrationFile[],
  options: Options,
): Promise<void> {
  const { rowCount } = await client.query(
    `select from pg_attribute where attrelid = to_regclass('kysely_migration') and attname = 'release_before_serves'`,
  );
  if (rowCount === 0)
    await inShortTries(client, database, 'the table of migrations', options, () => client.query(recordsSql));
  for (const { name, checksum } of unrecorded(files, await ranMigrations(database))) {
    await client.query('update kysely_migration set checksum = $2::text where name = $1::text', [name, checksum]);
  }
}

/** It has the name and the columns that the first releases gave it, since they read it too. */
const recordsSql = `
  create table if not exists kysely_migration (
    name varchar(255) not null primary key,
    timestamp varchar(255) not null
  );
  alter table kysely_migration
    add column if not exists checksum text,
    add column if not exists release_before_serves boolean`;

/**
 * Migrations that ran before checksums were recorded. For 0001 to 0003 that may have been an earlier text of the file;
 * 0009 adds what that one lacked.
 */
function unrecorded(files: readonly MigrationFile[], ran: readonly RanMigration[]): MigrationFile[] {
  const lacking = new Set(ran.filter(({ checksum }) => checksum === null).map(({ name }) => name));
  return files.filter(({ name }) => lacking.has(name));
}

async function runPending(
  client: pg.PoolClient,
  database: OwnerDatabase,
  files: MigrationFile[],
  options: Options,
): Promise<string[]> {
  const pending = pendingOf(files, await ranMigrations(database));
  for (const [i, file] of pending.entries()) {
    options.log.info({ migration: file.name, number: i + 1, of: pending.length }, 'migrating the database');
    await inShortTries(client, database, file.name, options, () => runFile(client, file));
  }
  return pending.map(({ name }) => name);
}

async function runFile(
  client: pg.PoolClient,
  { name, text, checksum, releaseBeforeServes }: MigrationFile,
): Promise<void> {
  // Citus sends the text of some statements to the workers, where it must be one statement.
  const parts = (await isDistributed(client)) ? statementsOf(text) : [text];
  for (const part of parts) await client.query(part);
  await client.query(
    `insert into kysely_migration (name, timestamp, checksum, release_before_serves)
     values ($1::text, $2::text, $3::text, $4::boolean)`,
    [name, new Date().toISOString(), checksum, releaseBeforeServes ?? null],
  );
}

/**
 * Creates the tables in the state after some migrations, in an empty schema and in the transaction of the caller.
 * @throws when another session is migrating this database at the moment
 */
export async function makeTables(client: pg.PoolClient, files: readonly MigrationFile[]): Promise<void> {
  const { rows } = await client.query<{ taken: boolean }>('select pg_try_advisory_xact_lock($1::bigint) as taken', [
    turnLock,
  ]);
  if (!rows[0]?.taken)
    throw new Error('Another program makes the tables of this database at this moment: end it first.');
  await client.query(recordsSql);
  for (const file of files) await runFile(client, file);
}

/**
 * Runs `work` in a transaction that waits at most `lockMsMax` for a lock. While a migration waits for a table, all
 * others that need that table queue behind it. If the lock is held for longer, everything is rolled back and retried
 * after a pause.
 */
async function inShortTries(
  client: pg.PoolClient,
  { pool }: OwnerDatabase,
  what: string,
  options: Options,
  work: () => Promise<unknown>,
): Promise<void> {
  const report = createReporter(options);
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  for (;;) {
    let holders: LockHolder[] = [];
    const findHolders = async () => {
      const found = await holdersBefore(pool, rows[0]?.pid as number);
      if (found.length > 0) holders = found;
    };
    // The sessions that it waits for can only be found while it waits.
    const watch = setInterval(() => findHolders().catch(() => {}), options.lockMsMax / 4);
    try {
      await client.query('begin');
      await client.query(`set local lock_timeout = ${Math.ceil(options.lockMsMax)}`);
      // Citus changes tables that refer to each other one node after the other only.
      if (await isDistributed(client)) await client.query(`set local citus.multi_shard_modify_mode = 'sequential'`);
      await work();
      await client.query('commit');
      return;
    } catch (error) {
      await client.query('rollback');
      if (!isLockFailure(error)) throw error;
    } finally {
      clearInterval(watch);
    }
    report('a migration waits for locks that other sessions hold', { migration: what }, holders);
    await sleep(options.lockPauseMs);
  }
}

const isLockFailure = (error: unknown) => hasSqlstate(error, sqlstates.lockNotAvailable, sqlstates.deadlockDetected);

/** Logs at once that something waits, and then every `tellMs`. */
function createReporter({ log, tellMs }: Options) {
  let reportedAt = Number.NEGATIVE_INFINITY;
  return (message: string, about: object, holders: LockHolder[]): void => {
    if (performance.now() - reportedAt < tellMs) return;
    reportedAt = performance.now();
    log.warn({ ...about, holders }, message);
  };
}
