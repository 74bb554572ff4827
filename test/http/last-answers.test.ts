import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { newApiKey } from '../../src/auth/api-key.ts';
import { startTestServer, type TestLimits, type TestServer } from '../support/test-server.ts';
import { openConnection, startListeningApp } from './support/listening-app.ts';

/*
 * An answer after which the connection is closed, while its body is still being sent: by a proxy that passes
 * `Expect: 100-continue` on and sends all the same (Caddy), that closes after each request (nginx by default), or by
 * somebody slow. Closed at once, the sender would see a reset, and a proxy would make a 502 of the answer.
 */

const limit = 64 * 1024;
const part = Buffer.alloc(256 * 1024, ' ');
const parts = 64;
let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.close());

async function listen(limits: TestLimits['http'] = {}) {
  const app = await startListeningApp(
    server.database,
    { BODY_LIMIT_BYTES: limit, BODIES_LIMIT_BYTES: limit },
    { http: limits },
  );
  onTestFinished(() => app.close());
  const connect = async () => {
    const accepted = new Promise<Socket>((resolve) => app.app.server.once('connection', resolve));
    const connection = await openConnection(app.port, { sendsOn: true });
    onTestFinished(() => void connection.socket.destroy());
    const closed = once(await accepted, 'close');
    /** Comes back when the server has closed it. */
    return { ...connection, closed: () => closed };
  };
  return { ...app, connect };
}

function head(line: string, ...headers: string[]): string {
  return [`${line} HTTP/1.1`, 'Host: a', 'Content-Type: application/json', ...headers, '', ''].join('\r\n');
}
const chunk = 'POST /tool-state/stream/chunk';
const length = `Content-Length: ${part.length * parts}`;
const keyed = (key = server.keys.ada) => `X-API-KEY: ${key}`;
const awaited = 'Expect: 100-continue';
const closing = 'Connection: close';

describe('who sends 16 MB without being asked to, and reads when all is sent, reads the answer', () => {
  test.each<[string, number, () => string]>([
    ['413, expected', 413, () => head(chunk, awaited, length, keyed())],
    ['401, expected', 401, () => head(chunk, awaited, length)],
    ['401 of an unknown key, expected', 401, () => head(chunk, awaited, length, keyed(newApiKey()))],
    ['404, expected', 404, () => head('POST /nothing', awaited, length, keyed())],
    ['415, expected', 415, () => head(chunk, awaited, length, keyed(), 'Content-Encoding: br')],
    ['200 of an open route, expected', 200, () => head('GET /healthz', awaited, length)],
    ['401, the last request', 401, () => head(chunk, closing, length)],
    ['404, the last request', 404, () => head('POST /nothing', closing, length, keyed())],
    ['413, the last request', 413, () => head(chunk, closing, length, keyed())],
    ['401 by HTTP/1.0', 401, () => head(chunk, length).replace('HTTP/1.1', 'HTTP/1.0')],
  ])('%s', async (_what, status, request) => {
    const connection = await (await listen()).connect();
    await connection.send(request());
    for (let i = 0; i < parts; i++) await connection.send(part);
    expect((await connection.answer()).status).toBe(status);
    await connection.closed();
  });

  test('a body that came too slowly and then goes on: 408', async () => {
    const connection = await (await listen({ bodyStallMsMax: 100 })).connect();
    await connection.send(head(chunk, 'Content-Length: 60000', keyed()));
    const { status } = await connection.answer();
    for (let i = 0; i < 60; i++) await connection.send(part.subarray(0, 1_000));
    expect(status).toBe(408);
    await connection.closed();
  });

  test('a body that has waited for room in vain: 503', async () => {
    const { connect } = await listen({ roomWaitMsMax: 200, roomPassesMax: 0 });
    const first = await connect();
    // All the room there is, and it never ends.
    await first.send(head(chunk, `Content-Length: ${limit}`, keyed(server.keys.rival)));
    await first.send(part.subarray(0, limit - 1));
    await sleep(100);
    const second = await connect();
    await second.send(head(chunk, `Content-Length: ${limit}`, keyed(server.keys.ada)));
    await second.send(part.subarray(0, limit - 1));
    const { status } = await second.answer();
    await sleep(100);
    await second.send(part.subarray(0, 1));
    expect(status).toBe(503);
    await second.closed();
  });
});

describe('it is not read for ever', () => {
  const start = () => head(chunk, awaited, length, keyed());

  test('the sender is told at once that no other request is answered, and what comes next is none', async () => {
    const { connect, logged } = await listen();
    const connection = await connect();
    const ended = new Promise<void>((resolve) => connection.socket.once('end', resolve));
    await connection.send(start());
    expect((await connection.answer()).status).toBe(413);
    await ended;
    for (let i = 0; i < parts - 1; i++) await connection.send(part);
    const before = logged().length;
    await connection.send(Buffer.concat([part, Buffer.from(head('POST /nothing', keyed()).repeat(20))]));
    await connection.closed();
    expect(logged().slice(before)).not.toContain('/nothing');
  });

  test('only for bodyDrainMsMax', async () => {
    const connection = await (await listen({ bodyDrainMsMax: 200 })).connect();
    await connection.send(start());
    expect((await connection.answer()).status).toBe(413);
    await connection.closed();
  });

  test('only up to bodyDrainBytesMax', async () => {
    const connection = await (await listen({ bodyDrainBytesMax: 1_000_000 })).connect();
    await connection.send(start());
    expect((await connection.answer()).status).toBe(413);
    let sent = 0;
    for (; sent < parts && !connection.socket.destroyed; sent++) await connection.send(part).catch(() => {});
    await connection.closed();
    expect(sent).toBeLessThan(parts);
  });
});
