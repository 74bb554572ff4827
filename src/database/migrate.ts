/**
 * Runs migrations beside servers that go on: each in a transaction of its own, which waits for a lock no longer than
 * `lockMsMax`, then lets everybody else go on and tries again (docs/decisions/0014-migrations-in-short-tries.md).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { Logger } from 'pino';
import type { OwnerDatabase } from './database.ts';
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

export interface MigrateOptions {
  folder?: URL;
  /** Is told what runs, and whom it waits for. */
  log?: Pick<Logger, 'info' | 'warn'>;
  /** Longest wait for a lock in one try, and the pause before the next one. */
  lockMsMax?: number;
  lockPauseMs?: number;
  /** How often it is said again that something waits. */
  tellMs?: number;
}

type Options = Required<MigrateOptions>;

const silent = { info() {}, warn() {} };

/**
 * Runs the migrations that the database does not have yet, in order. Several servers may start at once: one migrates, the
 * others wait and find nothing to do. It waits for locks for as long as somebody holds them, and says so.
 * Since a migration may rewrite a table of any size, give it a database that was opened with `statementMsMax: 0`.
 * @returns the names of those that ran.
 * @throws when one fails: it is rolled back, those before it stay; or when the database is of a newer release, beside
 *   which this one may not serve.
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
  // Who has nothing to do waits for nobody.
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
    // With its session ends the turn.
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
 * The lock that Kysely's migrator takes, with which the first releases migrated: one of those that starts meanwhile waits
 * as well. Nobody queues for it here, so that it can be said who holds it.
 */
const turnLock = '3853314791062309107';

async function takeTurn(client: pg.PoolClient, options: Options): Promise<void> {
  const tell = teller(options);
  for (;;) {
    const { rows } = await client.query<{ taken: boolean }>('select pg_try_advisory_lock($1::bigint) as taken', [
      turnLock,
    ]);
    if (rows[0]?.taken) return;
    tell(
      'the lock of migrations is held by another session; waiting',
      {},
      await holdersOfAdvisoryLock(client, turnLock),
    );
    await sleep(Math.min(options.lockPauseMs, turnPauseMs));
  }
}

const turnPauseMs = 200;

/** Makes the table of what has run, with its columns, and completes the rows of releases that kept less. */
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

/** Under the name and with the columns that the first releases gave it, which look there too. */
const recordsSql = `
  create table if not exists kysely_migration (
    name varchar(255) not null primary key,
    timestamp varchar(255) not null
  );
  alter table kysely_migration
    add column if not exists checksum text,
    add column if not exists release_before_serves boolean`;

/**
 * Those that ran when no checksum was kept. Of 0001 to 0003 that may have been an earlier text; 0009 makes up for what that
 * one lacked.
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
  await client.query(text);
  await client.query(
    `insert into kysely_migration (name, timestamp, checksum, release_before_serves)
     values ($1::text, $2::text, $3::text, $4::boolean)`,
    [name, new Date().toISOString(), checksum, releaseBeforeServes ?? null],
  );
}

/**
 * Makes the tables as they are after some migrations, in an empty schema and in the transaction of the caller.
 * @throws when somebody migrates this database at this moment
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
 * Runs `work` in a transaction that waits for no lock longer than `lockMsMax`: who asks for a table that a migration waits
 * for queues behind it. When somebody holds the lock for longer, all is rolled back and tried again after a pause.
 */
async function inShortTries(
  client: pg.PoolClient,
  { pool }: OwnerDatabase,
  what: string,
  options: Options,
  work: () => Promise<unknown>,
): Promise<void> {
  const tell = teller(options);
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  for (;;) {
    let holders: LockHolder[] = [];
    const see = async () => {
      const seen = await holdersBefore(pool, rows[0]?.pid as number);
      if (seen.length > 0) holders = seen;
    };
    // What it waits for can only be seen while it waits.
    const watch = setInterval(() => see().catch(() => {}), options.lockMsMax / 4);
    try {
      await client.query('begin');
      await client.query(`set local lock_timeout = ${Math.ceil(options.lockMsMax)}`);
      await work();
      await client.query('commit');
      return;
    } catch (error) {
      await client.query('rollback');
      if (!isLockFailure(error)) throw error;
    } finally {
      clearInterval(watch);
    }
    tell('a migration waits for locks that other sessions hold', { migration: what }, holders);
    await sleep(options.lockPauseMs);
  }
}

const isLockFailure = (error: unknown) => hasSqlstate(error, sqlstates.lockNotAvailable, sqlstates.deadlockDetected);

/** Says that something waits at once and then every `tellMs`. */
function teller({ log, tellMs }: Options) {
  let toldAt = Number.NEGATIVE_INFINITY;
  return (message: string, about: object, holders: LockHolder[]): void => {
    if (performance.now() - toldAt < tellMs) return;
    toldAt = performance.now();
    log.warn({ ...about, holders }, message);
  };
}
