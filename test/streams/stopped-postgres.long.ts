import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { buildApp } from '../../src/app.ts';
import { type Database, openAsOwner, openDatabase } from '../../src/database/database.ts';
import { migrate } from '../../src/database/migrate.ts';
import { makeRoles } from '../../src/database/roles.ts';
import type { App } from '../../src/http/app-type.ts';
import { type Cluster, openCluster } from '../faults/support/postgres-15.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

/* A PostgreSQL of its own (Debian's 15), which the test stops, kills and starts again. */

// Other work may share the machine.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 });

describe.skipIf(!existsSync('/usr/lib/postgresql/15/bin/initdb'))('a PostgreSQL', () => {
  let cluster: Cluster;
  let database: Database;
  let app: App;
  let key: string;
  let opened: Database;
  let keys: TestServer;
  let stopped: string[] = [];

  beforeAll(async () => {
    cluster = await openCluster();
    await cluster.start();
    await cluster.query('create database lab');
    const owner = openAsOwner(cluster.url('lab'), { onIdleError: () => {} });
    await makeRoles(owner);
    await migrate(owner);
    await owner.close();
    // Keys are looked up elsewhere: what becomes of them while the database is away is for other tests.
    keys = await startTestServer();
    const { rows } = await keys.owner.pool.query(`select organization_id, user_id from users where name = 'ada'`);
    const [{ organization_id, user_id }] = rows;
    await cluster.query(
      `insert into organizations (organization_id, name) values ('${organization_id}', 'lab')`,
      'lab',
    );
    await cluster.query(
      `insert into users (user_id, organization_id, name) values ('${user_id}', '${organization_id}', 'ada')`,
      'lab',
    );
    opened = openDatabase(cluster.url('lab'), { poolMax: 4, onIdleError: () => {} });
    const everyOrganization = { ...opened.everyOrganization, keys: keys.database.everyOrganization.keys };
    database = { ...opened, everyOrganization };
    key = keys.keys.ada;
    app = await buildApp({
      config: {
        FINALIZE_GRACE_SECONDS: 120,
        STREAM_IDLE_SECONDS: 3_600,
        BODY_LIMIT_BYTES: 1024 * 1024,
        BODIES_LIMIT_BYTES: 64 * 1024 * 1024,
        REFERENCE_CLOCK: false,
        SESSION_HOURS: 1,
      },
      database,
      log: pino({ level: 'silent' }),
    });
  });
  afterAll(async () => {
    if (stopped.length > 0) signal('CONT', stopped);
    await app?.close();
    await opened?.close();
    await keys?.close();
    await cluster?.remove();
  });

  const post = (url: string, payload: object) =>
    app.inject({ method: 'POST', url, headers: { 'x-api-key': key }, payload });
  const send = (dataId: string, index: number) =>
    post('/tool-state/stream/chunk', {
      data_id: dataId,
      chunk_index: index,
      channel_name: `c${index % 3}`,
      timestamps: [1_700_000_000 + index],
      values: [index],
    });
  const openStream = async () =>
    (await post('/tool-state/stream/initialize', { points_per_chunk: 1 })).json().data_id as string;

  /** The postmaster and all that it has started. */
  function processes(): string[] {
    const [postmaster = ''] = readFileSync(join(cluster.dataDir, 'postmaster.pid'), 'utf8').split('\n');
    const children = execFileSync('pgrep', ['-P', postmaster], { encoding: 'utf8' }).trim().split('\n');
    return [postmaster, ...children];
  }
  const signal = (name: string, pids: string[]) => execFileSync('kill', [`-${name}`, ...pids]);

  async function expectStoredOnce(dataId: string, count: number): Promise<void> {
    const rows = await cluster.query(
      `select chunk_index::integer as index, replaced_count, "values" from chunks where data_id = '${dataId}' order by 1`,
      'lab',
    );
    expect(rows).toEqual(Array.from({ length: count }, (_, index) => ({ index, replaced_count: 0, values: [index] })));
  }

  test('that is stopped and goes on: every chunk is stored once, though its sessions wake up with what was sent', async () => {
    const dataId = await openStream();
    for (let index = 0; index < 6; index++) expect((await send(dataId, index)).statusCode).toBe(201);
    stopped = processes();
    signal('STOP', stopped);
    const chunks = Array.from({ length: 12 }, (_, i) => send(dataId, 6 + i));
    const opening = post('/tool-state/stream/initialize', { points_per_chunk: 1, stream_name: 'while stopped' });
    await vi.waitFor(() => expect(database.outage.isUnreachable()).toBe(true), { timeout: 20_000, interval: 50 });
    const startedAt = performance.now();
    const read = await app.inject({ url: '/data_entries/', headers: { 'x-api-key': key } });
    expect([read.statusCode, performance.now() - startedAt < 2_000]).toEqual([503, true]);
    await sleep(1_000);
    signal('CONT', stopped);
    stopped = [];
    const statuses = (await Promise.all(chunks)).map(({ statusCode }) => statusCode);
    expect(statuses).toEqual(statuses.map(() => 201));
    expect((await opening).statusCode).toBe(200);
    await expectStoredOnce(dataId, 18);
    const made = await cluster.query(`select data_id from streams where stream_name = 'while stopped'`, 'lab');
    expect(made).toEqual([{ data_id: (await opening).json().data_id }]);
  });

  test('that is killed and started again: chunks that come meanwhile are stored', async () => {
    const dataId = await openStream();
    for (let index = 0; index < 6; index++) expect((await send(dataId, index)).statusCode).toBe(201);
    const before = [6, 7, 8].map((index) => send(dataId, index));
    await cluster.kill();
    const chunks = before.concat([9, 10, 11].map((index) => send(dataId, index)));
    await sleep(1_500);
    await cluster.start();
    const statuses = (await Promise.all(chunks)).map(({ statusCode }) => statusCode);
    expect(statuses).toEqual(statuses.map(() => 201));
    await expectStoredOnce(dataId, 12);
    const read = await app.inject({ url: '/data_entries/', headers: { 'x-api-key': key } });
    expect(read.statusCode).toBe(200);
  });
});
