import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { type ListeningApp, openConnection, startListeningApp } from './support/listening-app.ts';

/* Node leaves out headers beyond its own bound; a request that has so many must not be acted upon by the others. */

const headersMax = 100;
let server: TestServer;
let listening: ListeningApp;
beforeAll(async () => {
  server = await startTestServer();
  listening = await startListeningApp(server.database, {}, { http: { headersMax, headersMsMax: 1_000 } });
});
afterAll(async () => {
  await listening?.close();
  await server?.close();
});

async function answerTo(text: string) {
  const connection = await openConnection(listening.port);
  await connection.send(text).catch(() => {});
  const answer = await connection.answer();
  return { ...answer, connection };
}
const many = (count: number) => Array.from({ length: count }, (_, i) => `X-${i}: 1\r\n`).join('');

test('as many as headersMax are served, one more is answered 431 by name and the connection closed', async () => {
  const { status, connection } = await answerTo(`GET /healthz HTTP/1.1\r\nHost: a\r\n${many(headersMax - 1)}\r\n`);
  expect(status).toBe(200);
  connection.socket.destroy();
  for (const count of [headersMax, 2_000, 5_000, 20_000]) {
    const refused = await answerTo(`GET /healthz HTTP/1.1\r\nHost: a\r\n${many(count)}\r\n`);
    expect([count, refused.status]).toEqual([count, 431]);
    expect(JSON.parse(refused.body).detail).toMatch(/headersMax|bytes/);
    expect(refused.head).toMatch(/^x-content-type-options: nosniff$/im);
    expect(await refused.connection.ended()).toMatch(/closed|RESET/);
  }
});

test('what stands behind them does not get through: no address, no key, no length', async () => {
  for (const last of ['X-Forwarded-For: 1.1.1.1', `X-API-KEY: ${server.keys.ada}`, 'Content-Length: 5']) {
    const { status, connection } = await answerTo(
      `POST /metrics HTTP/1.1\r\nHost: a\r\n${many(2_000)}${last}\r\n\r\nhello`,
    );
    expect(status).toBe(431);
    connection.socket.destroy();
  }
});

test('two keys are no key; trailers are nothing', async () => {
  const two = `X-API-KEY: ${server.keys.ada}\r\n`.repeat(2);
  const twice = await answerTo(`GET /data_entries/ HTTP/1.1\r\nHost: a\r\n${two}\r\n`);
  expect(twice.status).toBe(401);
  twice.connection.socket.destroy();
  const inTrailer = await answerTo(
    `POST /tags/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-API-KEY\r\n\r\n0\r\nX-API-KEY: ${server.keys.ada}\r\n\r\n`,
  );
  expect(inTrailer.status).toBe(401);
  inTrailer.connection.socket.destroy();
});

test('CONNECT and upgrades are no way around: the one is closed, the other is an ordinary request', async () => {
  const upgrade = await answerTo(
    'GET /data_entries/ HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  );
  expect(upgrade.status).toBe(401);
  upgrade.connection.socket.destroy();
  const connection = await openConnection(listening.port);
  await connection.send('CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n');
  expect(await connection.ended()).toMatch(/closed|RESET/);
});

test('headers that do not arrive are answered 408 with the bound, and the connection closed', async () => {
  const { status, body, connection } = await answerTo('GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow:');
  expect(status).toBe(408);
  expect(body).toContain('headersMsMax');
  expect(await connection.ended()).toMatch(/closed|RESET/);
}, 45_000);
