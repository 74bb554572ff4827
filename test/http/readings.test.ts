import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { acquiredWhile, beginRead, readOn } from '../support/slow-client.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { fillChannel, openStream } from '../timeseries/storing.ts';
import { type ListeningApp, startListeningApp } from './listening-app.ts';

let server: TestServer;
let dataId: string;
beforeAll(async () => {
  server = await startTestServer();
  dataId = await openStream(server, 10_000);
  await fillChannel(server, dataId, 'v', { chunks: 30, points: 10_000 });
});
afterAll(() => server.close());

/** A server that allows few reads. */
async function listen(http: Record<string, number>): Promise<ListeningApp> {
  const listening = await startListeningApp(server.database, {}, { http });
  onTestFinished(() => listening.close());
  return listening;
}

const long = () => `/tool-state/${dataId}/timeseries/`;
const addressOf = ({ port }: ListeningApp) => `http://127.0.0.1:${port}`;
const get = (listening: ListeningApp, path: string, key = server.keys.ada) =>
  fetch(addressOf(listening) + path, { headers: { 'x-api-key': key } });

test('a read waits for a place, and is refused with the bound after readWaitMsMax', async () => {
  const listening = await listen({ readsMax: 2, readWaitMsMax: 300 });
  const slow = await beginRead(addressOf(listening), long(), server.keys.ada);
  const waited = await get(listening, '/tags/');
  expect(waited.status).toBe(503);
  expect(waited.headers.get('retry-after')).toBe('1');
  expect(await waited.text()).toMatch(/waited for 300 ms.*readsMax, 2 reads/);
  // Somebody else has the other place.
  expect((await get(listening, '/tags/', server.keys.rival)).status).toBe(200);
  const waiting = get(listening, '/tags/');
  slow.on('error', () => {}).destroy();
  expect((await waiting).status).toBe(200);
});

test('who takes nothing for stalledReadMsMax is cut off when another read of the organization waits', async () => {
  const listening = await listen({ readsMax: 2, stalledReadMsMax: 200 });
  const slow = await beginRead(addressOf(listening), long(), server.keys.ada);
  await sleep(500);
  expect((await get(listening, '/tags/')).status).toBe(200);
  const { ended } = await readOn(slow);
  expect(ended).toBe(false);
});

test('an answer that is made whole keeps no place, whether it is read or not', async () => {
  const listening = await listen({ readsMax: 2, readWaitMsMax: 300 });
  for (let i = 0; i < 4; i++) await beginRead(addressOf(listening), '/tags/', server.keys.ada);
  expect((await get(listening, '/tags/')).status).toBe(200);
});

test('a read whose client goes while it waits never begins', async () => {
  const listening = await listen({ readsMax: 2, readWaitMsMax: 5_000 });
  const slow = await beginRead(addressOf(listening), long(), server.keys.ada);
  const gone = new AbortController();
  const waits = Array.from({ length: 5 }, () =>
    fetch(addressOf(listening) + long(), { headers: { 'x-api-key': server.keys.ada }, signal: gone.signal }),
  );
  await sleep(200);
  gone.abort();
  await Promise.allSettled(waits);
  await sleep(100);
  const acquired = await acquiredWhile(server, async () => {
    slow.destroy();
    await sleep(300);
  });
  expect(acquired).toBe(0);
  expect((await get(listening, '/tags/')).status).toBe(200);
});
