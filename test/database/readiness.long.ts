import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test, vi } from 'vitest';
import { createKey } from '../../src/auth/keys.ts';
import { watchDataFolder } from '../../src/database/data-folder.ts';
import { type Database, openAsOwner, openDatabase } from '../../src/database/database.ts';
import { startEmbeddedPostgres } from '../../src/database/embedded.ts';
import { migrate } from '../../src/database/migrate.ts';
import { createReadiness } from '../../src/database/readiness.ts';
import { makeRoles } from '../../src/database/roles.ts';
import { startListeningApp } from '../http/support/listening-app.ts';
import { administer, loginOf } from '../support/global-setup.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

// Each test has a database of its own.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 });

/** A database that only this test breaks, and a server on it that looks anew whenever it is asked. */
async function startBreakable() {
  const server = await startTestServer();
  const url = new URL(server.databaseUrl);
  const login = `standing_${randomUUID().slice(0, 8)}`;
  await server.owner.pool.query(`create role ${login} login noinherit password 'only-for-tests'`);
  await server.owner.pool.query(`grant metrology_api, metrology_service to ${login}`);
  url.username = login;
  url.password = 'only-for-tests';
  const database = openDatabase(url.href, { poolMax: 2, onIdleError: () => {}, limits: { readinessKeepMs: 0 } });
  onTestFinished(async () => {
    await database.close();
    await server.owner.pool.query(`drop role if exists ${login}`).catch(() => {});
    await server.close();
  });
  return { server, login, database, ...(await serveOn(database, server.keys.ada)) };
}

/** A stream on the database, and what sends it a chunk, asks `/readyz` and reads. */
async function serveOn(database: Database, key: string) {
  const { app, close } = await startListeningApp(database);
  onTestFinished(close);
  const ask = async (method: 'GET' | 'POST', url: string, payload?: object) => {
    const answer = await app.inject({ method, url, headers: { 'x-api-key': key }, ...(payload && { payload }) });
    return { status: answer.statusCode, detail: answer.json().detail as string, json: answer.json() };
  };
  const opened = await ask('POST', '/metrology/stream/initialize', { points_per_chunk: 1 });
  let next = 0;
  const chunk = () => {
    const place = { data_id: opened.json.data_id, chunk_index: next++, channel_name: 't' };
    return ask('POST', '/metrology/stream/chunk', { ...place, timestamps: [1], values: [1] });
  };
  expect((await chunk()).status).toBe(201);
  return { app, ask, chunk, ready: () => ask('GET', '/readyz') };
}

describe('a server that may not go on', () => {
  const record = (saying: string) =>
    `insert into kysely_migration (name, timestamp, release_before_serves) values ('9999_later', 'now', ${saying})`;

  test.each([
    ['tables of a newer release', record('false'), /migrated by a newer release \(9999_later\)/],
    ['tables of a newer release that says nothing', record('null'), /migrated by a newer release/],
    [
      'an older database',
      `delete from kysely_migration where name = '0007_row_level_security'`,
      /is not migrated: 0007/,
    ],
    ['a right that was taken away', 'revoke insert on chunks from metrology_service', /lacks chunks, or the rights/],
    ['a table that is gone', 'drop table chunk_revisions cascade', /lacks chunk_revisions/],
    [
      'policies that got lost',
      'drop policy own_organization on tags; drop policy every_organization on tags',
      /tags lacks/,
    ],
    [
      'a database that loses commits',
      'alter database DATABASE set synchronous_commit = off',
      /synchronous_commit must/,
    ],
    ['roles that were taken away', 'revoke metrology_api, metrology_service from LOGIN', /cannot take the roles/],
  ])('%s: /readyz and everything that stores say so, reads go on', async (_name, change, sentence) => {
    const { server, login, database, ask, chunk, ready } = await startBreakable();
    const name = new URL(server.databaseUrl).pathname.slice(1);
    expect((await ready()).status).toBe(200);
    // The connection of reads is there when the roles go.
    expect((await ask('GET', '/tags/')).status).toBe(200);
    await server.owner.pool.query(change.replaceAll('LOGIN', login).replaceAll('DATABASE', name));
    if (change.startsWith('alter database')) await endSessions(database);
    const problem = await ready();
    expect(problem).toMatchObject({ status: 503, detail: expect.stringMatching(sentence) });
    expect(problem.detail).not.toMatch(/127\.0\.0\.1|metrology_test_\d/);
    for (const refused of [await chunk(), await ask('POST', '/projects/', { name: 'new' })]) {
      expect(refused).toMatchObject({ status: 503, detail: expect.stringContaining(problem.detail) });
    }
    const read = await ask('GET', '/tags/');
    // A new connection cannot take its role any more.
    if (change.startsWith('revoke metrology')) expect([200, 503]).toContain(read.status);
    else expect(read.status).toBe(200);
  });

  test.each([
    ['a right that was taken away', 'revoke insert on chunks from metrology_service'],
    ['a table that is gone', 'drop table chunks cascade'],
    ['a column that is gone', 'alter table chunks rename column content_hash to hash'],
  ])(
    '%s, met before anybody has looked: 503 with the sentence, or 500 where no look finds it',
    async (_name, change) => {
      const server = await startTestServer();
      onTestFinished(() => server.close());
      const never = { readinessKeepMs: 3_600_000, readinessEveryMs: 3_600_000 };
      const database = openDatabase(loginOf(server.databaseUrl), { poolMax: 2, onIdleError: () => {}, limits: never });
      onTestFinished(() => database.close());
      const { chunk, ready } = await serveOn(database, server.keys.ada);
      expect((await ready()).status).toBe(200);
      await server.owner.pool.query(change);
      const refused = await chunk();
      if (change.includes('column')) expect(refused.status).toBe(500);
      else expect(refused).toMatchObject({ status: 503, detail: expect.stringContaining('lacks chunks') });
    },
  );

  test('tables of a newer release that lets this one serve are no problem', async () => {
    const { server, chunk, ready } = await startBreakable();
    await server.owner.pool.query(record('true'));
    expect((await ready()).status).toBe(200);
    expect((await chunk()).status).toBe(201);
  });

  test('goes on as soon as it may', async () => {
    const { server, chunk, ready } = await startBreakable();
    await server.owner.pool.query('revoke insert on chunks from metrology_service');
    expect((await ready()).status).toBe(503);
    await server.owner.pool.query('grant insert on chunks to metrology_service');
    expect((await ready()).status).toBe(200);
    expect((await chunk()).status).toBe(201);
  });

  test('another database behind the same address takes no chunk, not even before somebody has looked', async () => {
    const { server, database, chunk, ready } = await startBreakable();
    const name = new URL(server.databaseUrl).pathname.slice(1);
    await server.close();
    await administer(inject('adminUrl'), `alter database ${name} allow_connections false`);
    await endSessions(database, name);
    await administer(inject('adminUrl'), `alter database ${name} rename to ${name}_old`);
    await administer(inject('adminUrl'), `create database ${name} template ${name}_old`);
    await administer(inject('adminUrl'), `alter database ${name} allow_connections true`);
    const refused = await chunk();
    expect(refused).toMatchObject({ status: 503, detail: expect.stringContaining('leads to another database') });
    expect(await ready()).toMatchObject({ status: 503, detail: expect.stringContaining('leads to another database') });
    const copy = openAsOwner(server.databaseUrl, { onIdleError: () => {} });
    onTestFinished(() => copy.close());
    expect((await copy.pool.query('select count(*)::int as chunks from chunks')).rows).toEqual([{ chunks: 1 }]);
  });
});

/** Ends the sessions of a server, as a restart of PostgreSQL does. */
async function endSessions(database: Database, name?: string): Promise<void> {
  await administer(
    inject('adminUrl'),
    name === undefined
      ? `select pg_terminate_backend(pid) from pg_stat_activity where usename like 'standing%'`
      : `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`,
  );
  const isEmpty = () => Object.values(database.pools).every(({ idleCount }) => idleCount === 0);
  await expect.poll(isEmpty, { timeout: 20_000 }).toBe(true);
}

describe('looks', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer();
  });
  afterAll(async () => {
    await server?.close();
  });

  test('are shared by all who ask within readinessKeepMs: a flood of /readyz costs one', async () => {
    let looks = 0;
    (server.database.pools.readiness as pg.Pool).on('acquire', () => looks++);
    let perLook = 0;
    // The server has looked by itself a moment ago.
    const lookOnce = async () => {
      const before = looks;
      await server.get('/readyz', null);
      perLook = looks - before;
      return perLook;
    };
    await expect.poll(lookOnce).toBeGreaterThan(0);
    const answers = await Promise.all(Array.from({ length: 3_000 }, () => server.get('/readyz', null)));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    // On a slow machine the flood may take some seconds.
    expect(looks).toBeLessThan(40 * perLook);
  });

  test('are made anew after readinessKeepMs, one at a time', async () => {
    let nowMs = 0;
    let asked = 0;
    let answer = () => {};
    const pool = {
      connect: () => Promise.reject(new Error('not used')),
      query: () => {
        asked++;
        return new Promise<never>((_, reject) => {
          answer = () => reject(Object.assign(new Error('away'), { code: 'ECONNREFUSED' }));
        });
      },
    };
    const readiness = createReadiness({
      pool,
      readinessEveryMs: 1_000,
      readinessKeepMs: 900,
      dataFolderKeepMs: 10,
      now: () => nowMs,
    });
    const first = [readiness.look(), readiness.look()];
    await expect.poll(() => asked).toBe(1);
    nowMs = 5_000;
    first.push(readiness.look());
    answer();
    expect(new Set(await Promise.all(first))).toEqual(
      new Set(['The database cannot be reached; the log of the server says why.']),
    );
    expect(asked).toBe(1);
    expect(readiness.refusal()).toBeUndefined();
    nowMs = 5_899;
    await readiness.look();
    expect(asked).toBe(1);
    nowMs = 5_900;
    const later = readiness.look();
    await expect.poll(() => asked).toBe(2);
    answer();
    await later;
  });
});

describe('the data folder', () => {
  async function folder() {
    const made = await mkdtemp(join(tmpdir(), 'metrology-folder-'));
    onTestFinished(() => rm(made, { recursive: true, force: true }));
    const path = join(made, 'postgres');
    for (const part of ['global', 'base', 'pg_wal']) await mkdir(join(path, part), { recursive: true });
    for (const part of ['PG_VERSION', 'global/pg_control']) await writeFile(join(path, part), '18');
    return path;
  }

  test.each<[string, (path: string) => Promise<unknown>]>([
    ['deleted', (path) => rm(path, { recursive: true })],
    ['moved', (path) => rename(path, `${path}-moved`)],
    ['emptied', (path) => rm(join(path, 'PG_VERSION'))],
    ['without its log', (path) => rm(join(path, 'pg_wal'), { recursive: true })],
    [
      'replaced',
      async (path) => {
        await rename(join(path, 'global/pg_control'), join(path, 'old'));
        await writeFile(join(path, 'global/pg_control'), '18');
      },
    ],
  ])('%s is noticed', async (_name, change) => {
    const path = await folder();
    const problem = watchDataFolder(path, 0);
    expect(problem?.()).toBeUndefined();
    await writeFile(join(path, 'base/1'), 'work goes on');
    await writeFile(join(path, 'global/pg_control'), 'another state');
    expect(problem?.()).toBeUndefined();
    await change(path);
    expect(problem?.()).toMatch(/has been deleted, moved or replaced/);
  });

  test('deleted while the server runs: no chunk more is acknowledged, not one that waits for its commit either', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'metrology-gone-'));
    const postgres = await startEmbeddedPostgres({ dataDir, log: pino({ level: 'silent' }) });
    onTestFinished(async () => {
      await postgres.stop().catch(() => {});
      await rm(dataDir, { recursive: true, force: true });
    });
    const owner = openAsOwner(postgres.connectionString, { onIdleError: () => {} });
    onTestFinished(() => owner.close());
    await makeRoles(owner);
    await migrate(owner);
    const database = openDatabase(postgres.connectionString, {
      poolMax: 2,
      onIdleError: () => {},
      dataFolder: () => postgres.dataDir,
    });
    onTestFinished(() => database.close());
    const { chunk, ready } = await serveOn(database, await createKey(database, 'lab', 'ada'));
    const blocker = await owner.pool.connect();
    onTestFinished(() => blocker.release(true));
    await blocker.query('begin');
    await blocker.query('lock table channels in exclusive mode');
    const waiting = chunk();
    const isWaiting = `select count(*)::int as n from pg_locks where not granted`;
    await expect
      .poll(async () => (await owner.pool.query(isWaiting)).rows[0].n, { timeout: 20_000 })
      .toBeGreaterThan(0);
    await rm(postgres.dataDir, { recursive: true, force: true });
    await blocker.query('rollback');
    const gone = expect.stringContaining('has been deleted, moved or replaced');
    expect(await waiting).toMatchObject({ status: 503, detail: gone });
    expect(await chunk()).toMatchObject({ status: 503, detail: gone });
    expect(await ready()).toMatchObject({ status: 503, detail: gone });
  }, 60_000);
});
