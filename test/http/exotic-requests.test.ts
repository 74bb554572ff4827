import { afterAll, beforeAll, expect, test } from 'vitest';
import { httpLimits } from '../../src/http/limits.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { type ListeningApp, openConnection, startListeningApp } from './support/listening-app.ts';

/* Floods of headers and parameters, and what is no HTTP: bounded, and refused in the shape of every other error. */

let server: TestServer;
let listening: ListeningApp;
beforeAll(async () => {
  server = await startTestServer();
  listening = await startListeningApp(server.database);
});
afterAll(async () => {
  await listening?.close();
  await server?.close();
});

async function answerTo(...pieces: string[]) {
  const connection = await openConnection(listening.port);
  for (const piece of pieces) await connection.send(piece).catch(() => {});
  const { status, head, body } = await connection.answer();
  const isOver = /^connection: close$/im.test(head);
  if (isOver) expect(await connection.ended()).not.toMatch(/RESET|EPIPE/);
  connection.socket.destroy();
  return { status, head, isOver, detail: body === '' ? undefined : JSON.parse(body).detail };
}
const get = (path: string, headers = '') =>
  `GET ${path} HTTP/1.1\r\nHost: x\r\nX-API-KEY: ${server.keys.ada}\r\n${headers}\r\n`;

test.each([
  ['one long header', [`X-Flood: ${'x'.repeat(httpLimits.headerBytesMax)}\r\n`]],
  ['many short headers', Array.from({ length: 90 }, (_, i) => `X-${i}: 1\r\n`.repeat(1_000))],
  ['8 MB of headers', Array.from({ length: 128 }, (_, i) => `X-${i}: ${'x'.repeat(64 * 1024)}\r\n`)],
])('%s: 431, which names the bound and reaches a client that sends on', async (_what, headers) => {
  const answer = await answerTo('GET /healthz HTTP/1.1\r\nHost: x\r\n', ...headers, '\r\n');
  expect(answer).toMatchObject({ status: 431, isOver: true, detail: expect.stringContaining('262144 bytes') });
  expect(answer.head).toMatch(/^x-content-type-options: nosniff$/im);
});

// Newer releases of Node refuse more than a thousand or two.
test('hundreds of headers that fit are served', async () => {
  expect(await answerTo(get('/healthz', 'A: 1\r\n'.repeat(500)))).toMatchObject({ status: 200 });
});

test.each([
  ['no request at all', 'hello\r\n\r\n'],
  ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ['an unknown method', 'BREW / HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['a header without a name', 'GET / HTTP/1.1\r\nHost: x\r\n: 1\r\n\r\n'],
  ['a folded header', 'GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\n 2\r\n\r\n'],
  ['a header with a control character', 'GET / HTTP/1.1\r\nHost: x\r\nA: \x01\r\n\r\n'],
  ['two lengths', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n'],
  ['a length and chunks', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['a negative length', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n'],
])('%s is answered 400', async (_what, text) => {
  const connection = await openConnection(listening.port);
  await connection.send(Buffer.from(text, 'latin1'));
  const { status, head, body } = await connection.answer();
  expect([status, JSON.parse(body)]).toEqual([400, { detail: 'What was sent is not valid HTTP/1.1.' }]);
  expect(head).toMatch(/^content-type: application\/json$/im);
  expect(await connection.ended()).toBe('closed');
});

test('a chunked body that is none is answered 400', async () => {
  const head = `POST /tags/ HTTP/1.1\r\nHost: x\r\nX-API-KEY: ${server.keys.ada}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`;
  expect(await answerTo(head, 'zz\r\n')).toMatchObject({ status: 400, detail: expect.any(String) });
});

test('a flood of parameters is served or refused by name, never an error of the server', async () => {
  const { data_id: id } = (await server.post('/metrology/stream/initialize', { points_per_chunk: 1 })).json;
  const routes: [string, number][] = [
    [`/metrology/${id}/timeseries/?${'last_n=1&'.repeat(20_000)}`, 400],
    [`/metrology/${id}/timeseries/?${'last_n=1&'.repeat(9_000)}`, 422],
    [`/metrology/${id}/timeseries/?${'property_names=a&'.repeat(9_000)}`, 200],
    [`/metrology/${id}/timeseries/?${Array.from({ length: 20_000 }, (_, i) => `n${i}=1`).join('&')}`, 400],
    [`/metrology/${id}/points/?${'channel=a&'.repeat(9_000)}`, 422],
    [`/data_entries/?${'tags=x&'.repeat(9_000)}`, 200],
    [`/data_entries/?${'tags=x&'.repeat(30_000)}`, 400],
    [`/data_entries/?${'&'.repeat(200_000)}`, 400],
    [`/data_entries/?${'&'.repeat(9_000)}`, 200],
    [`/data_entries/?${'data_ids=x&'.repeat(9_000)}`, 422],
    [`/healthz?${'a[][]=1&'.repeat(9_000)}`, 200],
  ];
  for (const [url, status] of routes) {
    const answer = await answerTo(get(url));
    expect(
      [answer.status, typeof answer.detail === 'object' ? answer.detail[0].loc[0] : 'query'],
      url.slice(0, 80),
    ).toEqual([status, 'query']);
  }
});
