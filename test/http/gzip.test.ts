import { randomBytes } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { deflateSync, gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBodyRoom } from '../../src/http/body-room.ts';
import { httpLimits } from '../../src/http/limits.ts';
import { readBody } from '../../src/http/read-body.ts';
import { createReadingPace } from '../../src/http/reading-pace.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { type ListeningApp, openConnection, startListeningApp } from './support/listening-app.ts';

/* A body may come as gzip; every limit counts what it decodes to. */

const limit = 64 * 1024;
const initialize = '/tool-state/stream/initialize';
let server: TestServer;
let listening: ListeningApp;

beforeAll(async () => {
  server = await startTestServer({ BODY_LIMIT_BYTES: limit });
  listening = await startListeningApp(server.database, { BODY_LIMIT_BYTES: limit });
});
afterAll(async () => {
  await listening?.close();
  await server?.close();
});

async function send(payload: Buffer, encoding = 'gzip', url = initialize, contentType = 'application/json') {
  const headers = { 'x-api-key': server.keys.ada, 'content-type': contentType, 'content-encoding': encoding };
  const answer = await server.app.inject({ method: 'POST', url, headers, payload });
  return { status: answer.statusCode, headers: answer.headers, json: answer.json() };
}

const good = '{"points_per_chunk":2}';
/** JSON of exactly so many bytes that gzip cannot make small: a limit on the bytes as sent would refuse it first. */
const ofBytes = (bytes: number) =>
  `{"points_per_chunk":1,"note":"${randomBytes(bytes).toString('hex')}`.slice(0, bytes - 2).concat('"}');
const streamCount = async () => (await server.owner.pool.query('select 1 from streams')).rowCount;

test('a chunk that comes as gzip reads back as it was sent', async () => {
  const { data_id } = (await send(gzipSync(good))).json;
  const body = { data_id, chunk_index: 0, channel_name: 'p', timestamps: [1.5, 2.5], values: [-0.1, 5e-324] };
  const sent = gzipSync(JSON.stringify(body));
  expect(await send(sent, 'GZip', '/metrology/stream/chunk')).toMatchObject({ status: 201, json: { total_points: 2 } });
  expect((await send(sent, 'x-gzip', '/metrology/stream/chunk')).headers['chunk-outcome']).toBe('unchanged');
  const { json } = await server.get(`/metrology/${data_id}/points/?channel=p`);
  expect(json.chunks[0]).toMatchObject({ timestamps: body.timestamps, values: body.values });
});

test('every route that reads a body takes it as gzip', async () => {
  const { paths } = server.app.swagger() as { paths: Record<string, Record<string, { requestBody?: object }>> };
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, { requestBody }]) => (requestBody ? [{ method, path }] : [])),
  );
  expect(routes.length).toBeGreaterThan(15);
  for (const { method, path } of routes) {
    const url = path.replaceAll(/\{\w+\}/g, '00000000-0000-4000-8000-000000000000');
    const headers = { 'x-api-key': server.keys.ada, 'content-type': 'application/json', 'content-encoding': 'gzip' };
    const payload = gzipSync('["told apart by its type"');
    const { statusCode, body } = await server.app.inject({ method: method as 'POST', url, headers, payload });
    expect([statusCode, body], `${method} ${path}`).toEqual([400, expect.stringContaining('not valid JSON')]);
  }
});

test('the limit counts decoded bytes: one more than BODY_LIMIT_BYTES is answered 413 with its name', async () => {
  expect((await send(gzipSync(ofBytes(limit)))).status).toBe(200);
  const { status, json } = await send(gzipSync(ofBytes(limit + 1)));
  expect([status, json.detail]).toEqual([413, expect.stringContaining(`${limit} bytes (BODY_LIMIT_BYTES)`)]);
  // Empty members decode to nothing, so bytes as sent are counted too.
  expect((await send(Buffer.alloc(limit + 20, gzipSync('')))).status).toBe(413);
});

test.each([
  ['cut in its data', gzipSync(ofBytes(5_000)).subarray(0, 2_000), /unexpected end/],
  ['cut in its checksum', gzipSync(good).subarray(0, -3), /unexpected end/],
  [
    'with a wrong checksum',
    Buffer.concat([gzipSync(good).subarray(0, -8), Buffer.alloc(8, 1)]),
    /incorrect data check/,
  ],
  ['that is plain JSON', Buffer.from(good), /incorrect header/],
  ['with something behind it', Buffer.concat([gzipSync(good), Buffer.from('{}')]), /incorrect header/],
])('gzip %s is refused and stores nothing', async (_what, payload, sentence) => {
  const before = await streamCount();
  const { status, json } = await send(payload);
  expect([status, json.detail]).toEqual([400, expect.stringMatching(sentence)]);
  expect(await streamCount()).toBe(before);
});

test('gzip may come in several members', async () => {
  expect((await send(Buffer.concat([gzipSync(good.slice(0, 9)), gzipSync(good.slice(9))]))).status).toBe(200);
});

test('what is inside is refused by its own rules, and no body stays no body', async () => {
  expect(await send(gzipSync('{"points_per_chunk":'))).toMatchObject({ status: 400 });
  expect(await send(gzipSync(good), 'gzip', initialize, 'text/plain')).toMatchObject({ status: 415 });
  const { data_id } = (await send(gzipSync(good))).json;
  const finalize = `/tool-state/stream/${data_id}/finalize`;
  for (const empty of [Buffer.alloc(0), gzipSync('')]) expect((await send(empty, 'gzip', finalize)).status).toBe(200);
});

test.each(['deflate', 'br', 'zstd', 'gzip, gzip', 'gzip;q=1', 'nonsense'])(
  'Content-Encoding: %s is answered 415 with what is taken',
  async (encoding) => {
    const { status, headers, json } = await send(deflateSync(good), encoding);
    expect(status).toBe(415);
    expect(json.detail).toContain(`Content-Encoding: ${encoding}; what is taken is gzip`);
    expect(headers['accept-encoding']).toBe('gzip');
  },
);

test('Content-Encoding: identity is none', async () => {
  expect((await send(Buffer.from(good), 'identity')).status).toBe(200);
});

test('of a bomb no more than the limit and one buffer is ever decoded', async () => {
  // 64 MB in 64 KB.
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024, ' '));
  expect(bomb.length).toBeLessThan(limit + 2_048);
  const payload = Object.assign(new PassThrough(), { headers: { 'content-encoding': 'gzip' } });
  const before = process.memoryUsage();
  const bounds = {
    bytesMax: 8 * limit,
    named: 'none',
    roomBytesMax: 1e9,
    limits: httpLimits,
    pace: createReadingPace(1e6),
    now: () => performance.now(),
  };
  const place = createBodyRoom({
    bytesMax: 1e9,
    smallMax: 0,
    stepBytes: 1,
    passesMax: 1,
    turnMs: 100,
    lapsedBytesMax: 0,
  }).enter('lab');
  const refused = readBody(payload as never, bounds, place).catch((error: { status: number }) => error.status);
  let peak = 0;
  const watch = setInterval(() => {
    const { arrayBuffers, external } = process.memoryUsage();
    peak = Math.max(peak, arrayBuffers + external - before.arrayBuffers - before.external);
  }, 1);
  payload.end(bomb);
  expect(await refused).toBe(413);
  clearInterval(watch);
  expect(peak).toBeLessThan(16 * limit + 4 * 1024 * 1024);
  expect(gunzipSync(bomb).length).toBe(64 * 1024 * 1024);
});

test.each([
  ['too large when decoded', () => gzipSync(Buffer.alloc(60_000_000, ' ')), 413],
  ['not gzip at all', () => Buffer.alloc(60_000, '{'), 400],
])('a client that sends all before it reads is told that its body is %s', async (_what, body, status) => {
  const connection = await openConnection(listening.port);
  const payload = body();
  await connection.send(
    `POST ${initialize} HTTP/1.1\r\nHost: x\r\nX-API-KEY: ${server.keys.ada}\r\nContent-Type: application/json\r\n` +
      `Content-Encoding: gzip\r\nContent-Length: ${payload.length}\r\n\r\n`,
  );
  for (let at = 0; at < payload.length; at += 8_192) await connection.send(payload.subarray(at, at + 8_192));
  expect((await connection.answer()).status).toBe(status);
  connection.socket.destroy();
});

test('room for a compressed body is taken as it is decoded, whatever it announces', async () => {
  const room = await startListeningApp(server.database, { BODY_LIMIT_BYTES: 200_000, BODIES_LIMIT_BYTES: 10_000_000 });
  const head = (framing: string) =>
    `POST /metrology/stream/chunk HTTP/1.1\r\nHost: x\r\nX-API-KEY: ${server.keys.ada}\r\nContent-Type: application/json\r\n${framing}\r\n\r\n`;
  const taken = async () =>
    Number(/^metrology_http_bodies_bytes (\d+)$/m.exec((await room.app.inject('/metrics')).body)?.[1]);
  for (const framing of [
    'Content-Length: 100000\r\nContent-Encoding: gzip',
    'Transfer-Encoding: chunked\r\nContent-Encoding: gzip',
    'Content-Length: 190000',
  ]) {
    const connection = await openConnection(room.port);
    await connection.send(head(framing));
    await expect
      .poll(async () => (await room.app.inject('/metrics')).body)
      .toContain('metrology_http_bodies_waiting 0');
    expect(await taken()).toBe(0);
    connection.socket.destroy();
  }
  const connection = await openConnection(room.port);
  const body = gzipSync(ofBytes(150_000));
  await connection.send(head(`Content-Length: ${body.length}\r\nContent-Encoding: gzip`));
  await connection.send(body.subarray(0, body.length / 2));
  await expect.poll(taken).toBeGreaterThan(60_000);
  expect(await taken()).toBeLessThan(90_000);
  connection.socket.destroy();
  await expect.poll(taken).toBe(0);
  await room.close();
});
