import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { createConnections } from '../../src/http/connections.ts';
import { httpLimits } from '../../src/http/limits.ts';
import { createReadingPace } from '../../src/http/reading-pace.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { type ListeningApp, openConnection, startListeningApp } from './listening-app.ts';

/* What Node's parser holds or hands on before anything is a request, on real sockets. */

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

async function connect(port = app.port) {
  const connection = await openConnection(port);
  onTestFinished(() => void connection.socket.destroy());
  return connection;
}

const partOfHead = (bytes: number) => `GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: ${'x'.repeat(bytes)}`;
const keyed = () => `GET /tags/ HTTP/1.1\r\nHost: a\r\nX-API-KEY: ${server.keys.ada}\r\n\r\n`;
const trailers = (bytes: number) =>
  `POST /nowhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Long: ${'x'.repeat(bytes)}`;

test('heads that strangers do not finish are answered 408 with the name of their bound, the largest first; others go through', async () => {
  const [first, second, third] = [await connect(), await connect(), await connect()];
  await first.send(partOfHead(8_000));
  await second.send(partOfHead(9_000));
  await third.send(partOfHead(500));
  const known = await connect();
  await known.send(keyed());
  expect((await known.answer()).status).toBe(200);
  await known.send(partOfHead(9_000));
  const last = await connect();
  await last.send(partOfHead(8_000));
  const { status, body } = await second.answer();
  expect(status).toBe(408);
  expect(body).toContain('20000 bytes of headers at most (strangerHeadsBytesMax)');
  for (const { send, answer } of [first, third, known, last]) {
    await send('\r\n\r\n');
    expect((await answer()).status).toBe(200);
  }
});

test('so are those of an organization beyond its share, half of what is free', async () => {
  const connections = [await connect(), await connect(), await connect()];
  for (const { send, answer } of connections) {
    await send(keyed());
    expect((await answer()).status).toBe(200);
    await send(partOfHead(9_000));
  }
  // The one whose head was read first, which on a busy machine need not be the one that sent first.
  const { status, body } = await Promise.race(connections.map(({ answer }) => answer()));
  expect(status).toBe(408);
  expect(body).toContain('40000 bytes of headers at most, of which one organization has a share (keyedHeadsBytesMax)');
});

test('so are trailers', async () => {
  const connections = [await connect(), await connect(), await connect()];
  for (const { send } of connections) await send(trailers(8_000));
  // They have been answered 404 already, so that the one that held first is only closed.
  await Promise.race(connections.map(({ ended }) => ended()));
  const open = connections.filter(({ socket }) => !socket.destroyed);
  expect(open.length).toBeGreaterThan(0);
});

test('pieces of one byte are handed on together, at the end of their read', async () => {
  const { createServer } = createConnections({
    server: {},
    limits: httpLimits,
    pace: createReadingPace(1_000_000),
    organizationOf: () => undefined,
  });
  const parts: number[] = [];
  const http: Server = createServer((request, response) => {
    request.on('data', ({ length }: Buffer) => parts.push(length));
    request.on('end', () => response.end());
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void http.close());
  const connection = await connect((http.address() as AddressInfo).port);
  const pieces = '1\r\nx\r\n'.repeat(5_000);
  await connection.send(`POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${pieces}0\r\n\r\n`);
  expect((await connection.answer()).status).toBe(200);
  expect(parts.reduce((sum, bytes) => sum + bytes, 0)).toBe(5_000);
  // As many as there were reads; 30 kB on loopback are few.
  expect(parts.length).toBeLessThan(100);
});
