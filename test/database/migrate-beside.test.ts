import { setTimeout as sleep } from 'node:timers/promises';
import { Kysely, Migrator, PostgresDialect, sql } from 'kysely';
import type pg from 'pg';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { OwnerDatabase } from '../../src/database/database.ts';
import { type MigrateOptions, migrate } from '../../src/database/migrate.ts';
import { migrationProblem, ranMigrations, readMigrations } from '../../src/database/migrations.ts';
import { makeRoles } from '../../src/database/roles.ts';
import { emptyDatabase, folderOf } from './support/migrating.ts';

/* Migrations while somebody else is at work, and tables that a release does not know. */

const quick = { lockMsMax: 200, lockPauseMs: 400, tellMs: 60_000 };

/** A log that keeps what it is told. */
function listen() {
  const told: { message: string; holders?: { pid: number; application: string }[]; migration?: string }[] = [];
  const add = (about: object, message: string) => told.push({ ...about, message });
  return { told, log: { info: add, warn: add } as unknown as NonNullable<MigrateOptions['log']> };
}

async function sessionOf(database: OwnerDatabase, application: string): Promise<pg.PoolClient & { pid: number }> {
  const client = await database.pool.connect();
  onTestFinished(() => client.release(true));
  await client.query(`set application_name = '${application}'`);
  const { rows } = await client.query('select pg_backend_pid() as pid');
  return Object.assign(client, { pid: rows[0].pid as number });
}

describe('a migration of a table that a transaction has read', () => {
  const first = { '0001_first.sql': 'create table first (id integer);' };
  const second = { ...first, '0002_second.sql': 'alter table first add column note text;' };

  test('keeps writers waiting for short moments only, says whom it waits for, and runs when that one is done', async () => {
    const open = await emptyDatabase();
    const database = open();
    await migrate(database, { folder: await folderOf(first) });
    const reader = await sessionOf(open(), 'a notebook');
    await reader.query('begin');
    await reader.query('select from first');
    const { told, log } = listen();
    const migrating = migrate(database, { ...quick, folder: await folderOf(second), log });
    const writer = open();
    // A writer that had to wait for the reader would wait for ever: the reader ends only after two have met a try and got
    // through.
    for (let met = 0; met < 2; await sleep(20)) {
      const startedAt = performance.now();
      await writer.pool.query('insert into first values (1)');
      if (performance.now() - startedAt > 50) met++;
    }
    await reader.query('commit');
    expect(await migrating).toEqual(['0002_second']);
    const waits = told.filter(({ message }) => message.includes('waits for locks'));
    expect(waits).toMatchObject([
      { migration: '0002_second', holders: [{ pid: reader.pid, application: 'a notebook' }] },
    ]);
    expect(JSON.stringify(told)).not.toContain('select from first');
  });
});

describe('the lock of migrations, held by a session', () => {
  const turnLock = '3853314791062309107';

  test('does not touch a start that has nothing to migrate', async () => {
    const open = await emptyDatabase();
    const database = open();
    const folder = await folderOf({ '0001_first.sql': 'create table first (id integer);' });
    await migrate(database, { folder });
    const holder = await sessionOf(open(), 'a reader');
    await holder.query('select pg_advisory_lock($1::bigint)', [turnLock]);
    expect(await migrate(database, { folder })).toEqual([]);
  });

  test('is named in the log while a start waits for it', async () => {
    const open = await emptyDatabase();
    const holder = await sessionOf(open(), 'a reader');
    await holder.query('select pg_advisory_lock($1::bigint)', [turnLock]);
    const { told, log } = listen();
    const migrating = migrate(open(), {
      ...quick,
      folder: await folderOf({ '0001_first.sql': 'create table first (id integer);' }),
      log,
    });
    await expect.poll(() => told).toMatchObject([{ holders: [{ pid: holder.pid, application: 'a reader' }] }]);
    await holder.query('select pg_advisory_unlock($1::bigint)', [turnLock]);
    expect(await migrating).toEqual(['0001_first']);
  });
});

describe('tables of a newer release', () => {
  const known = { '0001_first.sql': 'create table first (id integer);' };
  const newer = (saying: string) => ({
    ...known,
    '0002_second.sql': `-- Why.\n${saying}\nalter table first add column note text;`,
  });

  test.each([
    ['-- The release before may serve beside this: yes.', true],
    ['-- The release before may serve beside this: no, it would miss the note.', false],
    ['', false],
  ])('that say "%s": the older one serves: %s', async (saying, serves) => {
    const database = (await emptyDatabase())();
    await migrate(database, { folder: await folderOf(newer(saying)) });
    const older = await folderOf(known);
    const problem = await migrationProblem(database, older);
    if (serves) {
      expect(problem).toBeUndefined();
      expect(await migrate(database, { folder: older })).toEqual([]);
    } else {
      expect(problem).toMatch(/migrated by a newer release \(0002_second\), beside which this one may not serve/);
      await expect(migrate(database, { folder: older })).rejects.toThrow(problem);
    }
  });
});

describe('records', () => {
  test('a database that the first release has migrated goes on, with the checksums of what it has had', async () => {
    const open = await emptyDatabase();
    const database = open();
    await makeRoles(database);
    const files = await readMigrations();
    const had = files.filter(({ name }) => name <= '0007');
    const up = (text: string) => ({ up: async (db: object) => void (await sql.raw(text).execute(db as never)) });
    const kysely = new Migrator({
      db: new Kysely({ dialect: new PostgresDialect({ pool: database.pool }) }),
      provider: { getMigrations: async () => Object.fromEntries(had.map(({ name, text }) => [name, up(text)])) },
    });
    expect((await kysely.migrateToLatest()).error).toBeUndefined();
    expect((await ranMigrations(database)).map(({ checksum }) => checksum)).toEqual(had.map(() => null));
    expect(await migrate(database)).toEqual(files.filter((file) => !had.includes(file)).map(({ name }) => name));
    const ran = await ranMigrations(database);
    expect(ran.map(({ name, checksum }) => [name, checksum])).toEqual(
      files.map(({ name, checksum }) => [name, checksum]),
    );
    expect(await migrationProblem(database)).toBeUndefined();
  });

  test('a number that was left out runs when it comes', async () => {
    const database = (await emptyDatabase())();
    const others = { '0001_a.sql': 'create table a ();', '0003_c.sql': 'create table c ();' };
    await migrate(database, { folder: await folderOf(others) });
    expect(
      await migrate(database, { folder: await folderOf({ ...others, '0002_b.sql': 'create table b ();' }) }),
    ).toEqual(['0002_b']);
  });

  test('each migration since 0008 says whether the release before may serve beside it', async () => {
    const files = await readMigrations();
    const silent = files.filter(({ name, releaseBeforeServes }) => name >= '0008' && releaseBeforeServes === undefined);
    expect(silent.map(({ name }) => name)).toEqual([]);
  });
});
