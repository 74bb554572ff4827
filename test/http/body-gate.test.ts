import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { httpLimits } from '../../src/http/limits.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { type ListeningApp, openConnection, startListeningApp } from './support/listening-app.ts';

/* Room for bodies is BODIES_LIMIT_BYTES; whoever has taken some must give it back, and only who has a key may take it. */

const bodyBytes = 64 * 1024;
let server: TestServer;
let listening: ListeningApp;
let dataId: string;

beforeAll(async () => {
  server = await startTestServer();
  listening = await startListeningApp(server.database, { BODY_LIMIT_BYTES: bodyBytes, BODIES_LIMIT_BYTES: bodyBytes });
  dataId = (await server.post('/tool-state/stream/initialize', { points_per_chunk: 1 })).json.data_id;
});
afterAll(async () => {
  await listening?.close();
  await server?.close();
});

const head = (path: string, length: number, key?: string) =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n` +
  `${key === undefined ? '' : `X-API-KEY: ${key}\r\n`}\r\n`;
const chunk = (index: number) =>
  JSON.stringify({ data_id: dataId, chunk_index: index, channel_name: 'p', timestamps: [index], values: [index] });

/** A chunk that needs all the room there is. @returns its status, or that it still waits after 3 s */
async function takeAllRoom(index: number): Promise<number | 'waits'> {
  const connection = await openConnection(listening.port);
  const body = chunk(index).padEnd(bodyBytes, ' ');
  await connection.send(head('/tool-state/stream/chunk', body.length, server.keys.ada) + body);
  const answer = connection.answer().then(({ status }) => status);
  const first = await Promise.race([answer, sleep(3_000).then(() => 'waits' as const)]);
  answer.catch(() => {});
  connection.socket.destroy();
  return first;
}

test('a body behind another one on a connection that is cut gives its room back', async () => {
  const lock = await server.owner.pool.connect();
  try {
    await lock.query('begin');
    await lock.query('lock table channels in exclusive mode');
    const connection = await openConnection(listening.port);
    const path = '/tool-state/stream/chunk';
    const first = head(path, chunk(0).length, server.keys.ada) + chunk(0);
    await connection.send(`${first}${head(path, bodyBytes / 2, server.keys.ada)}{`);
    await sleep(300);
    connection.socket.destroy();
    await sleep(100);
  } finally {
    await lock.query('rollback');
    lock.release();
  }
  expect(await takeAllRoom(1)).toBe(201);
});

test('a body without a key, for a path that does not exist, takes no room and is answered 404 at once', async () => {
  const connection = await openConnection(listening.port);
  await connection.send(`${head('/nothing/here', bodyBytes)}{`);
  expect(await takeAllRoom(2)).toBe(201);
  expect((await connection.answer()).status).toBe(404);
  // What comes later is thrown away, and the connection serves the next request.
  await connection.send(' '.repeat(bodyBytes - 1));
  await connection.send(head('/tool-state/stream/chunk', chunk(3).length, server.keys.ada) + chunk(3));
  expect((await connection.answer()).status).toBe(201);
  connection.socket.destroy();
});

test('a small body passes large ones that arrive slowly', async () => {
  const room = await startListeningApp(server.database, { BODY_LIMIT_BYTES: 1_000_000, BODIES_LIMIT_BYTES: 1_000_000 });
  const large = await openConnection(room.port);
  await large.send(`${head('/tool-state/stream/chunk', 1_000_000, server.keys.ada)}{`);
  const next = await openConnection(room.port);
  await next.send(`${head('/tool-state/stream/chunk', httpLimits.smallBodyBytesMax + 1, server.keys.ada)}{`);
  const small = await openConnection(room.port);
  await small.send(head('/tool-state/stream/chunk', chunk(4).length, server.keys.ada) + chunk(4));
  expect((await small.answer()).status).toBe(201);
  expect((await room.app.inject('/metrics')).body).toContain('metrology_http_bodies_waiting 0\n');
  for (const { socket } of [large, next, small]) socket.destroy();
  await room.close();
});
