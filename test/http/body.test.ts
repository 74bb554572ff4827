import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import Fastify from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readJsonBodies } from '../../src/http/body.ts';
import { answerErrors } from '../../src/http/error-handler.ts';
import { httpLimits } from '../../src/http/limits.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { type ListeningApp, openConnection, startListeningApp } from './support/listening-app.ts';

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

const streamCount = async () => {
  const { rows } = await server.owner.pool.query('select count(*)::integer as count from streams');
  return rows[0].count as number;
};

/** Sends exact bytes under exact headers. */
async function inject(payload: string | Buffer, contentType: string | undefined, url = initialize) {
  const headers = { 'x-api-key': server.keys.ada, ...(contentType !== undefined && { 'content-type': contentType }) };
  const { statusCode, payload: text } = await server.app.inject({ method: 'POST', url, headers, payload });
  return { status: statusCode, detail: JSON.parse(text).detail };
}

const good = '{"points_per_chunk":1}';

describe('JSON', () => {
  test.each([
    ['a broken object', '{"points_per_chunk":', 400, /not valid JSON/],
    ['no JSON at all', 'points_per_chunk=1', 400, /not valid JSON/],
    ['two documents', `${good}${good}`, 400, /not valid JSON/],
    ['NaN, which is no JSON', '{"points_per_chunk":NaN}', 400, /not valid JSON/],
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 400, /UTF-8/],
    ['UTF-16', Buffer.from(good, 'utf16le'), 400, /not valid JSON/],
    ['a number beyond float64', '{"points_per_chunk":1e999}', 422, undefined],
  ])('%s is refused', async (_what, payload, status, sentence) => {
    const before = await streamCount();
    const answer = await inject(payload as string, 'application/json');
    expect(answer.status).toBe(status);
    if (sentence) expect(answer.detail).toMatch(sentence);
    expect(await streamCount()).toBe(before);
  });

  test('a byte order mark is skipped', async () => {
    expect(await inject(`\ufeff${good}`, 'application/json')).toMatchObject({ status: 200 });
    expect(await inject(`\ufeff\ufeff${good}`, 'application/json')).toMatchObject({ status: 400 });
  });

  test('the sentence names the field, as every refusal of one does, and shows nothing of what stands there', async () => {
    const { detail } = await inject('{"secret recipe": GaAs}', 'application/json');
    expect(detail).toContain('in secret recipe');
    expect(detail).not.toContain('GaAs');
  });

  test('keys that JavaScript treats specially are data and touch no prototype', async () => {
    const extra = '{"points_per_chunk":1,"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}';
    expect((await inject(extra, 'application/json')).status).toBe(200);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();

    const { json } = await server.post(initialize, { points_per_chunk: 1 });
    const readings = '{"timestamps":[1.0],"values":[2.0]}';
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'];
    const channels = names.map((name) => `"${name}":${readings}`).join(',');
    const body = `{"data_id":"${json.data_id}","chunk_index":0,"channels":{${channels}}}`;
    const answer = await server.post('/tool-state/stream/chunk/multi', body);
    expect(answer.status).toBe(201);
    expect(answer.json.map((receipt: { channel_name: string }) => receipt.channel_name)).toEqual(names);
    expect(answer.json.every((receipt: { total_points: number }) => receipt.total_points === 1)).toBe(true);
    expect(({} as { timestamps?: number }).timestamps).toBeUndefined();
  });

  test.each([
    ['a body of lists', `${'['.repeat(20_000)}${']'.repeat(20_000)}`, initialize],
    [
      'a name of objects',
      `{"points_per_chunk":1,"stream_name":${'{"a":'.repeat(9_000)}1${'}'.repeat(9_000)}}`,
      initialize,
    ],
    ['values of lists', `{"values":${'['.repeat(20_000)}${']'.repeat(20_000)}}`, '/tool-state/stream/chunk'],
  ])('deep nesting is refused: %s', async (_what, payload, url) => {
    expect((await inject(payload, 'application/json', url)).status).toBe(422);
  });

  test('deep nesting in a document that is kept is refused, not an internal error', async () => {
    const { json } = await server.post('/projects/', { name: 'deep' });
    const deep = `{"a":${'['.repeat(20_000)}${']'.repeat(20_000)}}`;
    const answer = await inject(deep, 'application/json', `/projects/${json.id}/configuration`);
    expect(answer.status).toBe(422);
  });
});

describe('content type', () => {
  test.each(['application/json', 'application/json; charset=utf-8', 'Application/JSON', 'application/problem+json'])(
    '%s is JSON',
    async (type) => {
      expect((await inject(good, type)).status).toBe(200);
    },
  );

  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json-seq',
    'application/jsonx',
    'nonsense',
    undefined,
  ])('%s is answered 415 with what to send', async (type) => {
    const answer = await inject(good, type);
    expect(answer.status).toBe(415);
    if (type !== 'nonsense') expect(answer.detail).toContain('application/json');
    expect(answer.detail).toEqual(expect.any(String));
  });

  test('an empty body is no body, whatever its type', async () => {
    const { json } = await server.post(initialize, { points_per_chunk: 1 });
    const finalize = `/tool-state/stream/${json.data_id}/finalize`;
    for (const type of ['application/json', 'text/plain', undefined]) {
      expect((await inject('', type, finalize)).status).toBe(200);
      const { status, detail } = await inject('', type);
      expect(status).toBe(422);
      expect(detail[0].loc).toEqual(['body']);
    }
    expect((await inject('{}', 'application/json', finalize)).status).toBe(200);
  });
});

describe('size', () => {
  const ofBytes = (bytes: number) => good.padEnd(bytes, ' ');

  test('a body of exactly BODY_LIMIT_BYTES is taken, one byte more is answered 413 with the limit', async () => {
    expect((await inject(ofBytes(limit), 'application/json')).status).toBe(200);
    const { status, detail } = await inject(ofBytes(limit + 1), 'application/json');
    expect(status).toBe(413);
    expect(detail).toContain(`${limit} bytes`);
    expect(detail).toContain('BODY_LIMIT_BYTES');
    expect((await inject(ofBytes(limit + 1), 'text/plain')).status).toBe(413);
  });

  const head = (framing: string, key: string = server.keys.ada) =>
    `POST ${initialize} HTTP/1.1\r\nHost: x\r\nX-API-KEY: ${key}\r\nContent-Type: application/json\r\n${framing}\r\n\r\n`;
  const piece = Buffer.alloc(256 * 1024, ' ');
  const pieces = 64;

  test.each([
    ['Content-Length', () => head(`Content-Length: ${piece.length * pieces}`), (data: Buffer) => data, ''],
    [
      'chunked transfer',
      () => head('Transfer-Encoding: chunked'),
      (data: Buffer) => Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`), data, Buffer.from('\r\n')]),
      '0\r\n\r\n',
    ],
  ])('a client that sends 16 MB before it reads (%s) reads the 413', async (_what, start, frame, end) => {
    const connection = await openConnection(listening.port);
    await connection.send(start());
    for (let i = 0; i < pieces; i++) await connection.send(frame(piece));
    await connection.send(end);
    const { status, head: answered, body } = await connection.answer();
    expect(status).toBe(413);
    expect(body).toContain('BODY_LIMIT_BYTES');
    // Fastify closes after a body that it could not use, and says so: a client takes another connection.
    expect(answered).toMatch(/^connection: close$/im);
    expect(await connection.ended()).toBe('closed');
  });

  test('a client without a key that sends 16 MB before it reads gets its 401', async () => {
    const connection = await openConnection(listening.port);
    await connection.send(head(`Content-Length: ${piece.length * pieces}`, 'msk_unknown'));
    for (let i = 0; i < pieces; i++) await connection.send(piece);
    expect((await connection.answer()).status).toBe(401);
    connection.socket.destroy();
  });

  test('Expect: 100-continue is answered before the body', async () => {
    const connection = await openConnection(listening.port);
    await connection.send(head(`Content-Length: ${good.length}\r\nExpect: 100-continue`));
    expect((await connection.answer()).status).toBe(100);
    await connection.send(good);
    expect((await connection.answer()).status).toBe(200);
    connection.socket.destroy();
  });
});

describe('head', () => {
  const answerTo = async (url: string) => {
    const connection = await openConnection(listening.port);
    await connection.send(`GET ${url} HTTP/1.1\r\nHost: x\r\nX-API-KEY: ${server.keys.ada}\r\n\r\n`);
    const { status, head } = await connection.answer();
    connection.socket.destroy();
    return { status, head };
  };

  test('a search for 5,000 ids fits into one URL; beyond headerBytesMax the answer is 431', async () => {
    const ids = Array.from({ length: 5_000 }, () => `data_ids=${crypto.randomUUID()}`).join('&');
    expect(ids.length).toBeGreaterThan(200_000);
    expect(await answerTo(`/data_entries/?${ids}`)).toMatchObject({ status: 200 });
    expect(await answerTo(`/data_entries/?keywords=${'x'.repeat(httpLimits.headerBytesMax)}`)).toMatchObject({
      status: 431,
    });
  });

  test('connections are kept for longer than the 90 s that the SDK keeps its own', async () => {
    expect((await answerTo('/healthz')).head).toMatch(/^keep-alive: timeout=120$/im);
    expect(httpLimits.keepAliveMs).toBeGreaterThan(90_000);
  });
});

describe('a body that breaks off', () => {
  test.each([
    ['by its length', 'Content-Length: 5000', '{"points_per_chunk":1'],
    ['in its chunks', 'Transfer-Encoding: chunked', `${good.length.toString(16)}\r\n${good}\r\n`],
  ])('%s changes nothing and is no error of the server', async (_what, framing, sent) => {
    const before = await streamCount();
    const start = listening.logged().length;
    const connection = await openConnection(listening.port);
    await connection.send(
      `POST ${initialize} HTTP/1.1\r\nHost: x\r\nX-API-KEY: ${server.keys.ada}\r\n` +
        `Content-Type: application/json\r\n${framing}\r\n\r\n${sent}`,
    );
    await sleep(100);
    connection.socket.destroy();
    await expect.poll(() => listening.logged().slice(start)).toContain('broke off');
    const lines = listening.logged().slice(start).trim().split('\n');
    const seen = lines.map((line) => JSON.parse(line)).filter(({ level }) => level > 10);
    expect(seen).toEqual([expect.objectContaining({ level: 30, msg: 'refused' })]);
    expect(seen[0].err).toBeUndefined();
    expect(await streamCount()).toBe(before);
  });

  test('one that has stopped arriving is answered 408 and its connection closed', async () => {
    const app = Fastify();
    answerErrors(app);
    const metrics = { watch() {} };
    const bounds = { ...httpLimits, bodyStallMsMax: 200, bodyDrainMsMax: 200 };
    readJsonBodies(app, { bodyLimitBytes: 100, bodiesLimitBytes: 10_000, metrics, limits: bounds });
    app.post('/', async () => 'taken');
    await app.ready();
    try {
      for (const [sent, status] of [
        ['{"half":', 408],
        ['x'.repeat(101), 413],
      ] as const) {
        const payload = new PassThrough();
        const headers = { 'content-type': 'application/json' };
        const answer = app.inject({ method: 'POST', url: '/', headers, payload });
        payload.write(sent);
        const { statusCode, headers: got } = await answer;
        expect(statusCode).toBe(status);
        expect(got.connection).toBe('close');
      }
    } finally {
      await app.close();
    }
  });
});
