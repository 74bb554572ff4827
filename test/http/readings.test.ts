import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { beginRead, readOn } from '../support/slow-client.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { fillChannel, openStream } from '../timeseries/support/storing.ts';
import { type ListeningApp, openConnection, startListeningApp } from './support/listening-app.ts';

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
  const listening = await startListeningApp(server.database, { METRICS_OPEN: true }, { http });
  onTestFinished(() => listening.close());
  return listening;
}

const long = () => `/tool-state/${dataId}/timeseries/`;
const addressOf = ({ port }: ListeningApp) => `http://127.0.0.1:${port}`;
const get = (listening: ListeningApp, path: string, key = server.keys.ada) =>
  fetch(addressOf(listening) + path, { headers: { 'x-api-key': key } });

async function metric(listening: ListeningApp, name: string): Promise<string | undefined> {
  const text = await (await get(listening, '/metrics')).text();
  return new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1];
}

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

test('reads that were sent ahead on one connection end with it, also those whose answer had not begun', async () => {
  const listening = await listen({ readsMax: 8, readWaitMsMax: 2_000 });
  const connection = await openConnection(listening.port);
  await connection.send(`GET ${long()} HTTP/1.1\r\nHost: a\r\nX-API-KEY: ${server.keys.ada}\r\n\r\n`.repeat(10));
  const reads = () => metric(listening, 'metrology_reads');
  await expect.poll(reads).toBe('4');
  connection.socket.destroy();
  await expect.poll(reads).toBe('0');
});

test('a read whose client goes while it waits never begins', async () => {
  const listening = await listen({ readsMax: 2, readWaitMsMax: 60_000 });
  const slow = await beginRead(addressOf(listening), long(), server.keys.ada);
  const gone = new AbortController();
  const waits = Array.from({ length: 5 }, () =>
    fetch(addressOf(listening) + long(), { headers: { 'x-api-key': server.keys.ada }, signal: gone.signal }),
  );
  await expect.poll(() => metric(listening, 'metrology_reads_waiting')).toBe('5');
  gone.abort();
  await Promise.allSettled(waits);
  await expect.poll(() => metric(listening, 'metrology_reads_waiting')).toBe('0');
  // The slow one has kept its place all the time.
  expect(await metric(listening, 'metrology_reads')).toBe('1');
  slow.on('error', () => {}).destroy();
  expect((await get(listening, '/tags/')).status).toBe(200);
});

test('who has closed its half of the connection is not kept waiting, and told so', async () => {
  const listening = await listen({ readsMax: 2, readWaitMsMax: 60_000 });
  const slow = await beginRead(addressOf(listening), long(), server.keys.ada);
  const connection = await openConnection(listening.port, { sendsOn: true });
  await connection.send(`GET /tags/ HTTP/1.1\r\nHost: a\r\nX-API-KEY: ${server.keys.ada}\r\n\r\n`);
  connection.socket.end();
  expect(await connection.answer()).toMatchObject({ status: 503, body: expect.stringContaining('closed its half') });
  slow.on('error', () => {}).destroy();
});

test('of many that end their wait at once a few are answered in each turn of the event loop', async () => {
  const listening = await listen({ readsMax: 2, readWaitMsMax: 60_000, requestsPerTurnMax: 4 });
  const answersOfTurns = [0];
  listening.app.server.on('request', (_request, response) => {
    response.once('finish', () => void answersOfTurns.push((answersOfTurns.pop() as number) + 1));
  });
  const slow = await beginRead(addressOf(listening), long(), server.keys.ada);
  const connections = await Promise.all(
    Array.from({ length: 60 }, () => openConnection(listening.port, { sendsOn: true })),
  );
  for (const connection of connections) {
    await connection.send(`GET /tags/ HTTP/1.1\r\nHost: a\r\nX-API-KEY: ${server.keys.ada}\r\n\r\n`);
  }
  await expect.poll(() => metric(listening, 'metrology_reads_waiting')).toBe('60');
  const turn = () => {
    answersOfTurns.push(0);
    next = setImmediate(turn);
  };
  let next = setImmediate(turn);
  for (const connection of connections) connection.socket.end();
  for (const connection of connections) expect((await connection.answer()).status).toBe(503);
  clearImmediate(next);
  // Those of one turn are written in the next one at the latest.
  expect(Math.max(...answersOfTurns)).toBeLessThanOrEqual(8);
  slow.on('error', () => {}).destroy();
});

test('reads sent ahead by a client that is reset while they wait never begin', async () => {
  let begun = 0;
  const counting: Database = {
    ...server.database,
    readingAs(...given) {
      begun++;
      return server.database.readingAs(...given);
    },
  };
  const listening = await startListeningApp(counting, { METRICS_OPEN: true }, { http: { readsMax: 2 } });
  onTestFinished(() => listening.close());
  const slow = await beginRead(addressOf(listening), long(), server.keys.ada);
  const connection = await openConnection(listening.port);
  await connection.send(`GET ${long()} HTTP/1.1\r\nHost: a\r\nX-API-KEY: ${server.keys.ada}\r\n\r\n`.repeat(10));
  const waiting = () => metric(listening, 'metrology_reads_waiting');
  await expect.poll(waiting).toBe('4');
  const before = begun;
  connection.socket.resetAndDestroy();
  await sleep(100);
  slow.on('error', () => {}).destroy();
  await expect.poll(waiting).toBe('0');
  await expect.poll(() => metric(listening, 'metrology_reads')).toBe('0');
  expect(begun - before).toBe(0);
});
