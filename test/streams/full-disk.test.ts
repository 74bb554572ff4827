import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { loginOf } from '../support/global-setup.ts';
import { onCluster } from '../support/on-cluster.ts';
import { joinTestServer, startTestServer, type TestServer } from '../support/test-server.ts';

const mib = 1024 ** 2;
/** Of what is left on the disk. */
const free = { ample: 10_000 * mib, low: 99 * mib, scarce: 49 * mib, full: 9 * mib };
const limits = { streams: { waitMsMax: 1_500, slowFlushMs: 50 } };

let plain: TestServer;
/** A server that knows the disk of its database. */
let server: TestServer;
/** One that does not. */
let blind: TestServer;
let left: number = free.ample;
let dataId: string;

beforeAll(async () => {
  plain = await startTestServer();
  const disk = {
    folder: () => '/data',
    warnBytes: 100 * mib,
    refuseBytes: 50 * mib,
    roomOf: async () => ({ free: left, size: 20_000 * mib }),
  };
  const bounds = { diskFullBytes: 10 * mib, diskKeepMs: 0, readinessKeepMs: 0 };
  const known = openDatabase(loginOf(plain.databaseUrl), { poolMax: 4, onIdleError: () => {}, limits: bounds, disk });
  server = await joinTestServer(plain, {}, (given) => instead(given, known), limits);
  const unknown = openDatabase(loginOf(plain.databaseUrl), {
    ...{ poolMax: 4, onIdleError: () => {} },
    limits: { readinessKeepMs: 0, diskKeepMs: 0, diskFullSaidMs: 1_000 },
  });
  blind = await joinTestServer(plain, {}, (given) => instead(given, unknown), limits);
});
afterAll(async () => {
  await server?.close();
  await blind?.close();
  await plain?.close();
});
beforeEach(async () => {
  await leave(free.ample);
  dataId = (await initialize()).json.data_id;
});

function instead(given: Database, mine: Database): Database {
  void given.close();
  return mine;
}

/** The first call may join a look that began before the change: a server that listens looks once a second. */
async function leave(bytes: number): Promise<void> {
  left = bytes;
  await server.database.readiness.look();
  await server.database.readiness.look();
}

const initialize = () => server.post('/metrology/stream/initialize', { points_per_chunk: 2 });
const chunk = (index = 0) => ({
  ...{ data_id: dataId, channel_name: 'rate', chunk_index: index, units: null },
  ...{ timestamps: [1.7e9 + index, 1.7e9 + index + 0.5], values: [1, 2] },
});
const send = (to = server, index = 0) => to.post('/metrology/stream/chunk', chunk(index));

test('below DISK_WARN_BYTES everything goes on, and /readyz and /metrics say so', async () => {
  await leave(free.low);
  expect((await initialize()).status).toBe(200);
  expect((await send()).status).toBe(201);
  const ready = await server.get('/readyz', null);
  expect(ready.status).toBe(200);
  expect(ready.json).toEqual({ status: 'ready', detail: expect.stringContaining('DISK_WARN_BYTES') });
  const { text } = await server.get('/metrics');
  expect(text).toContain(`\nmetrology_disk_free_bytes ${free.low}\n`);
  expect(text).toContain(`\nmetrology_disk_size_bytes ${20_000 * mib}\n`);
  expect((await blind.get('/metrics')).text).not.toMatch(/^metrology_disk_free_bytes /m);
});

test('below DISK_REFUSE_BYTES no stream is opened, by 507, and those that are open go on', async () => {
  await leave(free.scarce);
  const refused = await initialize();
  expect(refused.status).toBe(507);
  expect(refused.json.detail).toMatch(/DISK_REFUSE_BYTES, 50 MiB \(49 MiB are left\).* No stream was opened\.$/);
  expect((await send()).status).toBe(201);
  expect((await server.post(`/metrology/stream/${dataId}/finalize`)).status).toBe(200);
  expect((await server.get('/readyz', null)).status).toBe(200);
  await leave(free.ample);
  expect((await initialize()).status).toBe(200);
});

test('a full disk: chunks wait and are told that it is full; reads, ledger and /healthz go on', async () => {
  expect((await send()).status).toBe(201);
  await leave(free.full);
  const waiting = send(server, 1);
  const ready = await server.get('/readyz', null);
  expect(ready.status).toBe(503);
  expect(ready.json.detail).toMatch(/^The disk of the database is full: 9 MiB are left, .* Reads go on\.$/);
  expect((await server.get('/healthz', null)).status).toBe(200);
  const read = await server.get(`/metrology/${dataId}/timeseries/`);
  expect(read.status).toBe(200);
  expect((await server.get(`/metrology/stream/${dataId}/chunks`)).status).toBe(200);
  const refused = await waiting;
  expect(refused.status).toBe(503);
  expect(refused.headers['retry-after']).toBeDefined();
  expect(refused.json.detail).toMatch(/^The disk of the database is full: .*waited for more than 1500 ms; nothing/);
  expect((await initialize()).status).toBe(507);
});

test('a chunk that waits is stored as soon as there is room', async () => {
  await leave(free.full);
  const waiting = send();
  await expect.poll(() => server.database.outage.ms()).toBeDefined();
  left = free.ample;
  expect((await waiting).status).toBe(201);
  expect((await server.get('/readyz', null)).json).toEqual({ status: 'ready' });
});

// It needs a trigger, and a cluster has none.
test.skipIf(onCluster)('where the disk is not known, PostgreSQL says that it is full', async () => {
  await plain.owner.pool.query(`
    create function no_room() returns trigger language plpgsql as
      $$ begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$;
    create trigger no_room before insert on chunks for each row execute function no_room()`);
  try {
    const waiting = send(blind);
    await expect.poll(async () => (await blind.get('/readyz', null)).json.detail).toMatch(/is full: PostgreSQL has no/);
    expect((await blind.get(`/metrology/${dataId}/timeseries/`)).status).toBe(200);
    const refused = await waiting;
    expect([refused.status, refused.json.detail]).toEqual([503, expect.stringMatching(/disk of the database is full/)]);
  } finally {
    await plain.owner.pool.query('drop trigger no_room on chunks; drop function no_room()');
  }
  expect((await send(blind)).status).toBe(201);
  await expect.poll(async () => (await blind.get('/readyz', null)).status, { timeout: 10_000 }).toBe(200);
});
