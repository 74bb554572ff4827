import { Agent, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { processLimits } from '../../src/process/limits.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { channelRows, openStream } from './support/chunks.ts';

/* What the SDK's `run` does: a socket for every chunk, thousands at once. */

const bodiesLimitBytes = 2 * 1024 * 1024;

let server: TestServer;
let port: number;
beforeAll(async () => {
  server = await startTestServer({ BODIES_LIMIT_BYTES: bodiesLimitBytes });
  await server.app.listen({ host: '127.0.0.1', port: 0, backlog: processLimits.listenBacklog });
  port = (server.app.server.address() as AddressInfo).port;
});
afterAll(() => server.close());

/** Sends one POST on a socket of its own. @returns its status */
function post(path: string, body: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port,
        path,
        method: 'POST',
        agent: new Agent({ keepAlive: false }),
        headers: { 'x-api-key': server.keys.ada, 'content-type': 'application/json', 'content-length': body.length },
      },
      (answer) => {
        answer.resume().on('end', () => resolve(answer.statusCode as number));
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

const readings = (count: number, index: number) =>
  `"timestamps":[${Array.from({ length: count }, (_, i) => index * count + i).join(',')}],` +
  `"values":[${Array.from({ length: count }, (_, i) => (index + i) / 7).join(',')}]`;

test('2,000 chunks at once, each on its own socket, are all stored within the 30 s of the SDK', async () => {
  const dataId = await openStream(server, { points_per_chunk: 100 });
  const bodies = Array.from(
    { length: 2_000 },
    (_, i) => `{"data_id":"${dataId}","chunk_index":${i},"channel_name":"t",${readings(100, i)}}`,
  );
  const startedAt = performance.now();
  const statuses = await Promise.all(bodies.map((body) => post('/tool-state/stream/chunk', body)));
  expect(statuses.filter((status) => status !== 201)).toEqual([]);
  expect(performance.now() - startedAt).toBeLessThan(30_000);
  expect(await channelRows(server, dataId)).toMatchObject([{ chunk_count: 2_000, point_count: 200_000 }]);
}, 40_000);

test('more large bodies at once than may be in memory wait for each other and are all stored', async () => {
  const dataId = await openStream(server, { points_per_chunk: 40_000 });
  const body = (index: number) =>
    `{"data_id":"${dataId}","chunk_index":${index},"channel_name":"t",${readings(40_000, index)}}`;
  const count = Math.ceil(bodiesLimitBytes / body(0).length) * 4;
  const statuses = await Promise.all(
    Array.from({ length: count }, (_, i) => post('/tool-state/stream/chunk', body(i))),
  );
  expect(statuses).toEqual(Array(count).fill(201));
  expect(await channelRows(server, dataId)).toMatchObject([{ chunk_count: count, point_count: count * 40_000 }]);
}, 60_000);

test('a channel that somebody holds keeps no other stream waiting', async () => {
  const [held, other] = [await openStream(server), await openStream(server)];
  const send = (dataId: string, index: number) =>
    post(
      '/tool-state/stream/chunk',
      `{"data_id":"${dataId}","chunk_index":${index},"channel_name":"t",${readings(3, index)}}`,
    );
  await Promise.all([send(held, 0), send(other, 0)]);
  const holder = await server.owner.pool.connect();
  await holder.query('begin');
  await holder.query('select from channels where data_id = $1::uuid for update', [held]);
  let isStored = false;
  const waiting = Promise.all([1, 2].map((index) => send(held, index))).finally(() => {
    isStored = true;
  });
  await sleep(100);
  expect([await send(other, 1), await send(other, 2), await send(other, 3)]).toEqual([201, 201, 201]);
  expect(isStored).toBe(false);
  await holder.query('commit');
  holder.release();
  expect(await waiting).toEqual([201, 201]);
});
