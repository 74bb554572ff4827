import type { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { openConnection, startListeningApp } from '../http/support/listening-app.ts';
import { startTcpProxy, type TcpProxy } from '../http/support/tcp-proxy.ts';
import { startTestServer, type TestLimits, type TestServer } from '../support/test-server.ts';
import { chunkBody, openStream, storedChunks } from './support/chunks.ts';
import { joinThrough } from './support/far-server.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

/* A request whose first bytes came before the server was told to stop: the rest of its body comes afterwards. */

let near: TestServer;
let network: TcpProxy;
beforeAll(async () => {
  near = await startTestServer();
  network = await startTcpProxy(near.databaseUrl);
});
afterAll(async () => {
  await network.close();
  await near.close();
});

/** Requests of which all but the last byte has come, to a server that stops; `go` sends the rest. */
async function halfSent(paths: (dataId: string) => [path: string, body: unknown][], limits: TestLimits = {}) {
  const far = await joinThrough(near, network, { limits });
  onTestFinished(() => far.close());
  const dataId = await openStream(far);
  const listening = await startListeningApp(far.database);
  let begun = 0;
  listening.app.server.on('request', () => begun++);
  const sent = paths(dataId).map(async ([path, body]) => {
    const connection = await openConnection(listening.port);
    const text = JSON.stringify(body);
    const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nX-API-KEY: ${near.keys.ada}\r\nContent-Type: application/json\r\nConnection: close\r\n`;
    connection.socket.write(`${head}Content-Length: ${text.length}\r\n\r\n${text.slice(0, -1)}`);
    return { connection, rest: text.slice(-1) };
  });
  const requests = await Promise.all(sent);
  await expect.poll(() => begun, { timeout: 20_000 }).toBe(requests.length);
  // And their key is known by then.
  await listening.app.inject({ url: '/data_entries/', headers: { 'x-api-key': near.keys.ada } });
  return {
    dataId,
    far,
    closing: listening.close(),
    go: () =>
      Promise.all(
        requests.map(({ connection, rest }) => {
          connection.socket.write(rest);
          return connection.answer();
        }),
      ),
  };
}
const calls = (dataId: string): [string, unknown][] => [
  ['/tool-state/stream/chunk', chunkBody(dataId, 0, 't', [1])],
  ['/tool-state/stream/initialize', { points_per_chunk: 3 }],
  [`/tool-state/stream/${dataId}/finalize`, {}],
];

test('is stored and answered', async () => {
  const { dataId, closing, go } = await halfSent(calls);
  await sleep(100);
  expect((await go()).map(({ status }) => status)).toEqual([201, 200, 200]);
  await closing;
  expect(await storedChunks(near, dataId)).toHaveLength(1);
});

test('while PostgreSQL is away is refused at once, and does not hold the end up', async () => {
  const { far, closing, go } = await halfSent(calls, { streams: { lateAnswerMs: 300, lookMsMax: 200 } });
  await network.close();
  onTestFinished(() => network.open());
  far.database.outage.begin(new Error('Connection terminated'));
  await sleep(100);
  const startedAt = performance.now();
  expect((await go()).map(({ status }) => status)).toEqual([503, 503, 503]);
  await closing;
  expect(performance.now() - startedAt).toBeLessThan(5_000);
});

test('has left nothing behind on a database that others go on with', async () => {
  const pools = Object.values(near.database.pools) as unknown as EventEmitter[];
  const listening = () => pools.map((one) => one.eventNames().map((name) => one.listenerCount(name)));
  const before = listening();
  for (let count = 0; count < 3; count++) {
    const { close, port } = await startListeningApp(near.database);
    expect((await fetch(`http://127.0.0.1:${port}/readyz`)).status).toBe(200);
    await close();
  }
  expect(listening()).toEqual(before);
});
