import { afterAll, beforeAll, expect, test } from 'vitest';
import { errorStatus } from '../../src/errors.ts';
import { earlier } from '../support/earlier.ts';
import { joinTestServer, startTestServer, type TestServer } from '../support/test-server.ts';
import { chunkBody, openStream } from './support/chunks.ts';

/** Always asked anew. */
const limits = { streams: { storedLookKeepMs: 0 } };
let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({}, limits);
});
afterAll(() => server.close());

async function shown(name: string, { app }: TestServer = server): Promise<number | undefined> {
  const { payload } = await app.inject({ url: '/metrics' });
  const value = payload.split('\n').find((line) => line.startsWith(`${name} `));
  return value === undefined ? undefined : Number(value.split(' ').at(-1));
}

const push = (dataId: string, chunkIndex = 0) =>
  server.post('/tool-state/stream/chunk', chunkBody(dataId, chunkIndex, 'T', [1, 2]));

test('streams are live that are open and not idle, of all organizations', async () => {
  expect(await shown('metrology_live_streams')).toBe(0);
  const dataId = await openStream(server);
  await server.post('/tool-state/stream/initialize', { points_per_chunk: 3 }, server.keys.rival);
  expect(await shown('metrology_live_streams')).toBe(2);
  await server.owner.pool.query(`update streams set created_at = ${earlier('created_at', '$1::interval')}`, [
    '2 hours',
  ]);
  expect(await shown('metrology_live_streams')).toBe(0);
  await push(dataId);
  expect(await shown('metrology_live_streams')).toBe(1);
  await server.post(`/tool-state/stream/${dataId}/finalize`);
  expect(await shown('metrology_live_streams')).toBe(0);
});

test('the age of the last chunk is that of any server, also after a restart and where no stream is open', async () => {
  await server.owner.pool.query(`update channels set changed_at = now() - interval '1000 seconds'`);
  const other = await joinTestServer(server, {}, undefined, limits);
  const age = async () => (await shown('metrology_last_chunk_age_seconds', other)) ?? -1;
  expect(await age()).toBeGreaterThanOrEqual(1_000);
  await push(await openStream(server));
  expect(await age()).toBeLessThan(900);
  expect(await shown('metrology_last_chunk_age_seconds')).toBeLessThan(900);
  await other.close();
});

test('the database has a size, and is asked at most so often', async () => {
  const rare = await joinTestServer(server);
  const size = await shown('metrology_database_size_bytes', rare);
  expect(size).toBeGreaterThan(1e6);
  await openStream(server);
  const live = await shown('metrology_live_streams', rare);
  expect(await shown('metrology_live_streams')).toBe((live as number) + 1);
  await rare.close();
});

test('while the database does not answer, /metrics shows what was known; when it has failed, nothing', async () => {
  let answer: () => Promise<unknown> = async () => ({ rows: [{ bytes: 7, live: 0, lastSeconds: null }] });
  const slow = await joinTestServer(
    server,
    {},
    (database) => {
      const { upkeep } = database.everyOrganization;
      const query = (statement: { name?: string }, values: never) =>
        statement.name === 'metrics_of_the_database' ? answer() : upkeep.pool.query(statement as never, values);
      return {
        ...database,
        everyOrganization: { ...database.everyOrganization, upkeep: { ...upkeep, pool: { ...upkeep.pool, query } } },
      } as never;
    },
    { streams: { storedLookKeepMs: 0, storedLookMsMax: 20 } },
  );
  const size = () => shown('metrology_database_size_bytes', slow);
  expect(await size()).toBe(7);
  expect(await shown('metrology_last_chunk_age_seconds', slow)).toBeUndefined();
  let fail: (error: Error) => void = () => {};
  answer = () => new Promise((_, reject) => (fail = reject));
  expect(await size()).toBe(7);
  answer = () => Promise.reject(new Error('away'));
  fail(new Error('away'));
  expect(await size()).toBeUndefined();
  await slow.close();
});

test('refused requests with chunks are counted by reason, and by nothing that a client chooses', async () => {
  const refused = (reason: string) => shown(`metrology_chunk_requests_refused_total{reason="${reason}"}`);
  for (const reason of Object.keys(errorStatus)) expect([reason, await refused(reason)]).toEqual([reason, 0]);
  const dataId = await openStream(server);
  await server.post('/tool-state/stream/chunk', 'no JSON');
  await server.post('/metrology/stream/chunk/multi', { data_id: dataId });
  await server.post('/tool-state/stream/chunk', chunkBody(dataId, 0, 'T', [1]), null);
  await push('00000000-0000-4000-8000-000000000000');
  await push(dataId);
  await server.post('/tool-state/stream/initialize', { points_per_chunk: 0 });
  const counts = await Promise.all(['bad_request', 'validation', 'unauthorized', 'not_found', 'conflict'].map(refused));
  expect(counts).toEqual([expect.any(Number), expect.any(Number), 1, 1, 0]);
  expect((counts[0] as number) + (counts[1] as number)).toBe(2);
});

test('the time in the queue and the flush is observed of those that were refused by it too', async () => {
  const count = () => shown('metrology_chunk_wait_seconds_count') as Promise<number>;
  const before = await count();
  await push(await openStream(server));
  await push('00000000-0000-4000-8000-000000000000');
  expect(await count()).toBe(before + 2);
  expect(await shown('metrology_chunk_wait_seconds_sum')).toBeGreaterThan(0);
});

test('each reason has a status of its own, by which it is counted', () => {
  expect(new Set(Object.values(errorStatus)).size).toBe(Object.keys(errorStatus).length);
});
