import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { type ListeningApp, openConnection, startListeningApp } from './support/listening-app.ts';

/* What Node's parser holds before anything is a request, and what requests hold that wait, on real sockets. */

const bounds = { strangerHeadsBytesMax: 20_000, keyedHeadsBytesMax: 40_000, headBytesFree: 1_000 };
let server: TestServer;
let app: ListeningApp;

beforeAll(async () => {
  server = await startTestServer();
  app = await startListeningApp(server.database, {}, { http: bounds });
});
afterAll(async () => {
  await app?.close();
  await server?.close();
});

async function connect(options?: { sendsOn: boolean }) {
  const connection = await openConnection(app.port, options);
  onTestFinished(() => void connection.socket.destroy());
  return connection;
}

const partOfHead = (bytes: number) => `GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: ${'x'.repeat(bytes)}`;
const keyed = (key = server.keys.ada) => `GET /tags/ HTTP/1.1\r\nHost: a\r\nX-API-KEY: ${key}\r\n\r\n`;
const trailers = (bytes: number) =>
  `POST /nowhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Long: ${'x'.repeat(bytes)}`;

async function connectUnderKey(key?: string) {
  const connection = await connect();
  await connection.send(keyed(key));
  expect((await connection.answer()).status).toBe(200);
  return connection;
}

/** Longer than a head that has only just come takes no place from one that has been held for a while. */
const aWhileMs = 50;

test('beyond strangerHeadsBytesMax the head that takes most room is answered 408 with its name; others go through', async () => {
  const [first, second, small, known] = [await connect(), await connect(), await connect(), await connectUnderKey()];
  await second.send(partOfHead(9_000));
  await first.send(partOfHead(5_000));
  await small.send(partOfHead(500));
  await known.send(partOfHead(9_000));
  await sleep(aWhileMs);
  const last = await connect();
  // It is the largest, but it has only just come.
  await last.send(partOfHead(12_000));
  const { status, body } = await second.answer();
  expect(status).toBe(408);
  expect(body).toContain('20000 bytes of headers at most (strangerHeadsBytesMax)');
  expect(await second.ended()).toBe('closed');
  for (const { send, answer } of [first, small, known, last]) {
    await send('\r\n\r\n');
    expect((await answer()).status).toBe(200);
  }
});

test('beyond keyedHeadsBytesMax a connection of the organization that holds most is answered 408', async () => {
  const connections = [
    await connectUnderKey(),
    await connectUnderKey(),
    await connectUnderKey(),
    await connectUnderKey(),
  ];
  const other = await connectUnderKey(server.keys.rival);
  await other.send(partOfHead(8_000));
  for (const { send } of connections) {
    await send(partOfHead(9_000));
    await sleep(aWhileMs);
  }
  const { status, body } = await (connections[0] as (typeof connections)[0]).answer();
  expect(status).toBe(408);
  expect(body).toContain('40000 bytes of headers at most (keyedHeadsBytesMax)');
  await other.send('\r\n\r\n');
  expect((await other.answer()).status).toBe(200);
});

test('a connection is closed although its client keeps its half open and is still sending a body that nobody wants', async () => {
  const holding = [await connect(), await connect(), await connect()];
  for (const { send } of holding) {
    await send(trailers(8_000));
    await sleep(aWhileMs);
  }
  const [first] = holding as [(typeof holding)[0]];
  expect(await first.ended()).toBe('closed');
});

test('what stands around pieces and heads does not add up on a kept connection', async () => {
  const line = await connectUnderKey();
  const body = '{"stream_name":"a","points_per_chunk":9,"project_id":null}';
  const pieces = [...body].map((character) => `00000001\r\n${character}\r\n`).join('');
  const head = [
    'POST /tool-state/stream/initialize HTTP/1.1\r\nHost: a\r\nContent-Type:    application/json\r\n',
    `X-API-KEY: ${server.keys.ada}\r\nX-White:${' '.repeat(1_500)}v\r\nTransfer-Encoding: chunked\r\n\r\n`,
  ].join('');
  for (let i = 0; i < 60; i++) {
    await line.send(`${head}${pieces}0\r\n\r\n`);
    expect((await line.answer()).status, String(i)).toBe(200);
  }
});

test('trailers count; whoever has asked for something before is only closed', async () => {
  const connections = [await connect(), await connect(), await connect()];
  for (const { send } of connections) {
    await send(trailers(8_000));
    await sleep(aWhileMs);
  }
  const ends = connections.map(({ ended }, i) => ended().then(() => i));
  expect(await Promise.race(ends)).toBe(0);
});

test('heads of requests that have been answered do not count, nor do bodies, with a length and in pieces with trailers', async () => {
  const lines = await Promise.all(Array.from({ length: 4 }, connectUnderKey));
  const head = [
    'POST /tool-state/stream/initialize HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n',
    `X-API-KEY: ${server.keys.ada}\r\nX-Long: ${'x'.repeat(1_500)}\r\n`,
  ].join('');
  const some = ' '.repeat(12_000);
  const [opening, piece] = [`{"stream_name":"a","points_per_chunk":9,"project_id":null}`, `2ee0\r\n${some}\r\n`];
  for (let round = 0; round < 3; round++) {
    for (const { send } of lines) await send(`${head}Content-Length: ${opening.length + 24_000}\r\n\r\n${some}`);
    await sleep(aWhileMs);
    const pieces = `Transfer-Encoding: chunked\r\n\r\n${opening.length.toString(16)}\r\n${opening}\r\n${piece}`;
    for (const { send } of lines) await send(`${opening}${some}${head}${pieces}`);
    await sleep(aWhileMs);
    for (const { send } of lines) await send(`${piece}0\r\nX-End: ${'z'.repeat(1_200)}\r\n\r\n`);
    for (const { answer } of lines) for (let i = 0; i < 2; i++) expect((await answer()).status).toBe(200);
  }
});

test('a body whose length stands behind too many headers is no head either: 431', async () => {
  // The answer and the end of the server's half may come before the rest of the body has been sent.
  const { send, answer } = await connect({ sendsOn: true });
  const many = 'X: 1\r\n'.repeat(2_000);
  await send(`POST /nowhere HTTP/1.1\r\nHost: a\r\n${many}Content-Length: 60000\r\n\r\n${'x'.repeat(30_000)}`);
  await sleep(aWhileMs);
  await send('x'.repeat(30_000));
  expect((await answer()).status).toBe(431);
});
