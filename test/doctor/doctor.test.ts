import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { backupName } from '../../src/backups/folder.ts';
import type { ConnectionSource } from '../../src/database/access.ts';
import { type Database, type OwnerDatabase, openAsOwner, openDatabase } from '../../src/database/database.ts';
import { Unfit } from '../../src/database/replica-look.ts';
import { checks, examine, exitCodeOf, reportOf } from '../../src/doctor/doctor.ts';
import type { Finding, Patient } from '../../src/doctor/findings.ts';
import { doctorLimits } from '../../src/doctor/limits.ts';
import { loginOf } from '../support/global-setup.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

const gib = 1024 ** 3;

let server: TestServer;
let folder: string;
beforeAll(async () => {
  server = await startTestServer();
  folder = mkdtempSync(join(tmpdir(), 'metrology-doctor-'));
});
afterAll(async () => {
  await server?.close();
  rmSync(folder, { recursive: true, force: true });
});

type Change = Partial<Omit<Patient, 'settings' | 'limits'>> & {
  settings?: Partial<Patient['settings']>;
  limits?: Partial<Patient['limits']>;
};

/** Looks over a healthy server with something changed. Connections are new: they take what was set meanwhile. */
async function examineWith({ settings, limits, ...change }: Change = {}, some = checks): Promise<Finding[]> {
  const database: Database = openDatabase(loginOf(server.databaseUrl), { poolMax: 2, onIdleError: () => {} });
  const login: OwnerDatabase = openAsOwner(loginOf(server.databaseUrl), { onIdleError: () => {} });
  try {
    const patient: Patient = {
      settings: {
        ...{ DATABASE_POOL_MAX: 2, WORKERS: 1, DISK_WARN_BYTES: 5 * gib, DISK_REFUSE_BYTES: gib, METRICS_OPEN: false },
        ...settings,
      },
      backup: { folder: undefined, everyHours: 24 },
      diskFolder: () => '/data',
      roomOf: async () => ({ free: 10_000 * gib, size: 20_000 * gib }),
      owner: server.owner.pool,
      login: login.pool,
      service: database.everyOrganization.upkeep.pool,
      readiness: () => database.readiness.look(),
      keepsSessions: async () => true,
      now: Date.now,
      fetch,
      limits: { ...doctorLimits, connectionsUsedMax: 1, transactionSecondsMax: 3_600, ...limits },
      ...change,
    };
    return await examine(patient, some);
  } finally {
    await Promise.all([database.close(), login.close()]);
  }
}

async function one(check: string, change: Change = {}): Promise<Finding> {
  const named = checks.filter(([name]) => name === check);
  const [found] = await examineWith(change, named);
  if (found === undefined) throw new Error(`there is no check ${check}`);
  if (found.state === 'warning' || found.state === 'fault') expect(found.advice ?? found.says).toMatch(/\S.*\.$/);
  return found;
}

/** Does something to the database, and undoes it. */
async function meanwhile<Result>(harm: string, undo: string, look: () => Promise<Result>): Promise<Result> {
  await server.owner.pool.query(harm);
  try {
    return await look();
  } finally {
    await server.owner.pool.query(undo);
  }
}

const answering = (row: object): ConnectionSource =>
  ({ query: async () => ({ rows: [row] }), connect: () => Promise.reject(new Error('not used')) }) as never;

test('a healthy server: nothing to warn of, and what is not known is said', async () => {
  const findings = await examineWith();
  expect(findings.filter(({ state }) => state !== 'ok').map(({ check, state }) => [check, state])).toEqual([
    ['proxy', 'unknown'],
    ['backup', 'unknown'],
  ]);
  expect(exitCodeOf(findings)).toBe(0);
  expect(reportOf(findings).at(-1)).toBe('15 fine, 2 not known, 0 warnings, 0 faults');
});

test('the page gives a line for each check, and what to do; the exit code tells the worst', () => {
  const findings: Finding[] = [
    { check: 'a', state: 'ok', says: 'Fine.' },
    { check: 'bcd', state: 'warning', says: 'Soon.', advice: 'Act.' },
  ];
  expect(reportOf(findings)).toEqual([
    'ok       a    Fine.',
    'WARNING  bcd  Soon.',
    '              -> Act.',
    '',
    '1 fine, 0 not known, 1 warnings, 0 faults',
  ]);
  expect(exitCodeOf(findings)).toBe(1);
  expect(exitCodeOf([...findings, { check: 'e', state: 'fault', says: 'Broken.' }])).toBe(2);
});

test('a check that fails is a fault, one without the right to look is not known; the others go on', async () => {
  const failing = (code?: string) =>
    ({ query: () => Promise.reject(Object.assign(new Error('no'), { code })) }) as unknown as ConnectionSource;
  expect(await one('indexes', { owner: failing() })).toMatchObject({
    state: 'fault',
    says: expect.stringContaining('no'),
  });
  const findings = await examineWith({ owner: failing('42501') });
  expect(findings.find(({ check }) => check === 'indexes')?.state).toBe('unknown');
  expect(findings).toHaveLength(17);
});

test('settings', async () => {
  expect((await one('settings', { settings: { DISK_WARN_BYTES: 1 } })).state).toBe('warning');
  const open = { METRICS_OPEN: true, PUBLIC_URL: 'http://127.0.0.1:1' };
  expect((await one('settings', { settings: open })).says).toContain('METRICS_OPEN');
});

test('versions: migrations that are missing', async () => {
  const pool = server.owner.pool;
  const { rows } = await pool.query<{ name: string }>('select max(name) as name from kysely_migration');
  const hidden = `update kysely_migration set name = $2 where name = $1`;
  const [name, other] = [rows[0]?.name, '0000_hidden'];
  await pool.query(hidden, [name, other]);
  const found = await one('versions').finally(() => pool.query(hidden, [other, name]));
  expect(found).toMatchObject({ state: 'fault', says: expect.stringContaining(String(name)) });
  const old = answering({ version: '14.2', major: 14 });
  expect((await one('versions', { service: old })).says).toBe('PostgreSQL 14.2 is not supported.');
});

test('standing: rights that are missing', async () => {
  const found = await meanwhile(
    'revoke insert on chunks from metrology_service',
    'grant insert on chunks to metrology_service',
    () => one('standing'),
  );
  expect(found).toMatchObject({ state: 'fault', says: expect.stringContaining('lacks chunks') });
});

test('durability', async () => {
  const name = new URL(server.databaseUrl).pathname.slice(1);
  const found = await meanwhile(
    `alter database ${name} set synchronous_commit = off`,
    `alter database ${name} reset synchronous_commit`,
    () => one('durability'),
  );
  expect(found).toMatchObject({ state: 'fault', says: expect.stringContaining('synchronous_commit=off') });
});

test('replica: not there, wrong, and set so that a long query holds up the replay', async () => {
  const saying = (feedback: boolean, delay: string) => ({
    replica: { borrow: async () => ({ query: async () => ({ rows: [{ feedback, delay }] }), release() {} }) as never },
  });
  expect((await one('replica', saying(true, '30s'))).state).toBe('ok');
  expect((await one('replica', saying(false, '30s'))).says).toContain('hot_standby_feedback is off');
  expect((await one('replica', saying(true, '-1'))).says).toContain('max_standby_streaming_delay');
  const gone = async () => {
    throw new Unfit('unreachable', 'The replica cannot be reached.', { cause: new Error('connect ECONNREFUSED') });
  };
  expect(await one('replica', { replica: { borrow: gone } })).toMatchObject({
    state: 'warning',
    says: 'The replica cannot be reached (connect ECONNREFUSED): the primary answers all reads.',
  });
  // The primary itself is no replica.
  const url = loginOf(server.databaseUrl);
  const database = openDatabase(url, { poolMax: 2, onIdleError: () => {}, replica: url });
  const found = await one('replica', { replica: database.replica }).finally(() => database.close());
  expect(found).toMatchObject({ state: 'warning', says: expect.stringContaining('leads to a primary') });
});

test('disk: days left at the pace of the last week, and the marks', async () => {
  const { json } = await server.post('/metrology/stream/initialize', { points_per_chunk: 2 });
  const chunk = {
    data_id: json.data_id,
    channel_name: 'p',
    chunk_index: 0,
    timestamps: [1.7e9, 1.7e9 + 1],
    values: [1, 2],
  };
  expect((await server.post('/metrology/stream/chunk', chunk)).status).toBe(201);
  const { rows } = await server.owner.pool.query('select pg_database_size(current_database())::float8 as bytes');
  const perDay = rows[0].bytes / doctorLimits.growthDays;
  const settings = { DISK_WARN_BYTES: 0, DISK_REFUSE_BYTES: 0 };
  const withDays = (days: number) => one('disk', { settings, roomOf: async () => ({ free: days * perDay, size: 1 }) });
  expect((await withDays(1_000)).state).toBe('ok');
  expect(await withDays(20)).toMatchObject({
    state: 'warning',
    says: expect.stringMatching(/enough for (19|20) days/),
  });
  expect((await withDays(1)).state).toBe('fault');
  const free = (bytes: number) =>
    one('disk', { roomOf: async () => ({ free: bytes, size: 1 }), limits: { daysLeftWarn: 0, daysLeftFault: 0 } });
  expect((await free(4 * gib)).state).toBe('warning');
  expect((await free(gib / 2)).state).toBe('fault');
  expect((await one('disk', { diskFolder: () => undefined })).state).toBe('unknown');
});

test('write-ahead log: a slot that nobody reads, an archive that fails', async () => {
  const slot = `doctor_${process.pid}`;
  const found = await meanwhile(
    `select pg_create_physical_replication_slot('${slot}', true)`,
    `select pg_drop_replication_slot('${slot}')`,
    () => one('write-ahead log'),
  );
  expect(found).toMatchObject({ state: 'warning', says: expect.stringContaining(slot) });
  const failing = answering({ slots: null, archiveFails: true });
  expect((await one('write-ahead log', { owner: failing })).state).toBe('fault');
});

test('login: a superuser', async () => {
  expect((await one('login', { login: server.owner.pool })).state).toBe('warning');
});

test('clocks that differ', async () => {
  const found = await one('clocks', { now: () => Date.now() - 3_600_000 });
  expect(found).toMatchObject({ state: 'warning', says: expect.stringMatching(/differ by 3[56]\d\d\.\d s/) });
});

test('indexes that are not valid', async () => {
  const set = (valid: boolean) =>
    `update pg_index set indisvalid = ${valid} where indexrelid = 'streams_sample'::regclass`;
  const found = await meanwhile(set(false), set(true), () => one('indexes'));
  expect(found).toMatchObject({ state: 'fault', says: 'Not valid: streams_sample.' });
});

test('statistics that are old, and no autovacuum', async () => {
  await server.owner.pool.query('analyze api_keys');
  const limits = { statisticsRowsMin: 1, statisticsChangedMax: -1 };
  await expect
    .poll(() => one('statistics', { limits }))
    .toMatchObject({
      state: 'warning',
      says: expect.stringContaining('api_keys'),
    });
  const off = answering({ autovacuum: false, tables: null });
  expect((await one('statistics', { owner: off })).state).toBe('fault');
});

test('connections: too few for a server, or nearly all in use', async () => {
  const many = await one('connections', { settings: { DATABASE_POOL_MAX: 1_000 } });
  expect(many).toMatchObject({ state: 'warning', says: expect.stringContaining('one server takes up to 1013') });
  expect((await one('connections', { limits: { connectionsUsedMax: 0 } })).state).toBe('warning');
});

test('transactions that are open for long', async () => {
  const client = await server.owner.pool.connect();
  try {
    await client.query(`set application_name = 'forgotten'`);
    await client.query('begin');
    await client.query('select 1');
    const found = () => one('transactions', { limits: { transactionSecondsMax: 0 } });
    await expect.poll(found).toMatchObject({ state: 'warning', says: expect.stringContaining('(forgotten)') });
  } finally {
    await client.query('rollback');
    client.release(true);
  }
});

test('a pooler in transaction mode', async () => {
  expect((await one('pooler', { keepsSessions: async () => false })).state).toBe('fault');
});

test.each<[string, RequestListener, string, RegExp]>([
  ['a redirect', (_, reply) => reply.writeHead(301, { location: 'https://lab' }).end(), 'fault', /redirects \(301\)/],
  ['another program', (_, reply) => reply.end('<html>'), 'fault', /something else/],
  ['open metrics', (_, reply) => reply.end('{"status":"ok"}'), 'fault', /without a key/],
  [
    'what is right',
    ({ url }, reply) => (url === '/lab/metrics' ? reply.writeHead(401).end() : reply.end('{"status":"ok"}')),
    'ok',
    /asks for a key/,
  ],
])('the proxy: %s', async (_name, answer, state, says) => {
  const proxy = createServer(answer).listen(0, '127.0.0.1');
  await new Promise((resolve) => proxy.once('listening', resolve));
  const { port } = proxy.address() as AddressInfo;
  const settings = { PUBLIC_URL: `http://127.0.0.1:${port}/lab/` };
  const found = await one('proxy', { settings }).finally(() => proxy.close());
  expect(found).toMatchObject({ state, says: expect.stringMatching(says) });
});

test('the proxy: nobody there', async () => {
  const found = await one('proxy', { settings: { PUBLIC_URL: 'http://127.0.0.1:1' } });
  expect(found).toMatchObject({ state: 'warning', says: expect.stringContaining('not reached') });
});

test('the backup: none, a folder that is not there, one that is late, one that is fresh', async () => {
  const look = (given: string) => one('backup', { backup: { folder: given, everyHours: 24 } });
  expect((await look(join(folder, 'none'))).state).toBe('fault');
  expect((await look(folder)).says).toContain('There is no backup');
  const hoursAgo = (hours: number, more = '') =>
    writeFileSync(join(folder, backupName(Date.now() - hours * 3_600_000) + more), '');
  hoursAgo(40);
  hoursAgo(0, '.part');
  expect(await look(folder)).toMatchObject({ state: 'fault', says: expect.stringContaining('40.0 hours old') });
  hoursAgo(30);
  expect((await look(folder)).state).toBe('ok');
});

test('keys that end soon, unless they have a successor', async () => {
  const found = await meanwhile(
    `update api_keys set expires_at = now() + interval '3 days' where key_id = (select min(key_id) from api_keys)`,
    'update api_keys set expires_at = null',
    () => one('keys'),
  );
  expect(found).toMatchObject({
    state: 'warning',
    says: expect.stringMatching(/^Keys end soon: \d+ on \d{4}-\d\d-\d\d\.$/),
  });
});
