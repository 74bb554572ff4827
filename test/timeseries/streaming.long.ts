import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { acquiredWhile, beginRead, busySessions, connectionsWhileWaiting, readOn } from '../support/slow-client.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { fillChannel, openStream } from './support/storing.ts';

let server: TestServer;
let address: string;
beforeAll(async () => {
  server = await startTestServer();
  address = await server.app.listen({ host: '127.0.0.1', port: 0 });
});
afterAll(() => server.close());

const begin = (path: string) => beginRead(address, path, server.keys.ada);

async function filledStream(chunks: number, points: number): Promise<string> {
  const dataId = await openStream(server, points);
  await fillChannel(server, dataId, 'v', { chunks, points });
  return dataId;
}

const routes = [
  (id: string) => `/tool-state/${id}/timeseries/`,
  (id: string) => `/metrology/${id}/timeseries/`,
  (id: string) => `/rheed/timeseries/${id}/`,
  (id: string) => `/metrology/${id}/points/?channel=v`,
].map((route) => [route] as const);

describe('a client that does not read', () => {
  let dataId: string;
  beforeAll(async () => {
    dataId = await filledStream(800, 1_000);
  });

  test.each(routes)('%s: holds no connection and no transaction, and still gets everything', async (route) => {
    const answer = await begin(route(dataId));
    expect(await connectionsWhileWaiting(server)).toBe(0);
    await expect.poll(() => busySessions(server)).toBe(0);
    const { body, ended } = await readOn(answer);
    expect(ended).toBe(true);
    expect(body.length).toBeGreaterThan(20_000_000);
    expect(JSON.parse(body.toString())).toBeTypeOf('object');
  });

  test.each(routes)('%s: ends the reading when it goes away', async (route) => {
    const answer = await begin(route(dataId));
    answer.on('error', () => {});
    await connectionsWhileWaiting(server);
    const acquired = await acquiredWhile(server, async () => {
      answer.destroy();
      await sleep(400);
    });
    expect(acquired).toBeLessThanOrEqual(1);
  });
});

describe('an error', () => {
  test.each(routes)('%s: after the first byte cuts the answer off', async (route) => {
    const dataId = await filledStream(800, 1_000);
    const answer = await begin(route(dataId));
    expect(answer.statusCode).toBe(200);
    await connectionsWhileWaiting(server);
    await server.owner.pool.query('delete from chunks where data_id = $1::uuid and chunk_index between 780 and 790', [
      dataId,
    ]);
    const { body, ended } = await readOn(answer);
    expect(ended).toBe(false);
    expect(body.length).toBeGreaterThan(100_000);
    expect(() => JSON.parse(body.toString())).toThrow();
  });

  test.each(routes)('%s: before the first byte is an answer like any other', async (route) => {
    const dataId = await filledStream(3, 10);
    const { pool } = server.owner;
    await pool.query('alter table chunks rename column timestamps to hidden');
    try {
      const answer = await server.get(route(dataId));
      expect(answer.status).toBe(500);
      expect(answer.headers['content-type']).toContain('application/json');
      expect(answer.json.detail).toContain('Internal error');
    } finally {
      await pool.query('alter table chunks rename column hidden to timestamps');
    }
    expect((await server.get(route(dataId))).status).toBe(200);
  });

  test('a statement that takes too long is 503, and the next read works', async () => {
    const dataId = await filledStream(3, 10);
    const { pool } = server.owner;
    const locker = await pool.connect();
    try {
      await locker.query('begin; lock table chunks in access exclusive mode');
      const reading = server.get(`/tool-state/${dataId}/timeseries/`);
      await cancelReads();
      const answer = await reading;
      expect(answer.status).toBe(503);
      expect(answer.headers['retry-after']).toBe('1');
    } finally {
      await locker.query('rollback');
      locker.release();
    }
    expect((await server.get(`/tool-state/${dataId}/timeseries/`)).status).toBe(200);
  });

  /** What statement_timeout does, without the wait for it. */
  async function cancelReads(): Promise<void> {
    for (let tries = 0; tries < 100; tries++) {
      const { rows } = await server.owner.pool.query(
        `select pg_cancel_backend(pid) from pg_stat_activity
         where datname = current_database() and query like 'copy %' and wait_event_type = 'Lock'`,
      );
      if (rows.length > 0) return;
      await sleep(50);
    }
    throw new Error('no read is waiting');
  }
});

test('a read leaves no clock running', async () => {
  const dataId = await filledStream(3, 10);
  const clocks = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  await server.get(`/tool-state/${dataId}/timeseries/`);
  const before = clocks();
  for (let i = 0; i < 20; i++) await server.get(`/metrology/${dataId}/timeseries/`);
  expect(clocks() - before).toBeLessThan(10);
});
