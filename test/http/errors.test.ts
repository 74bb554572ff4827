import Fastify from 'fastify';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { contract } from '../../src/contract.ts';
import { noteConnectionError } from '../../src/database/driver.ts';
import { answerErrors } from '../../src/http/error-handler.ts';
import { streamLimits } from '../../src/streams/limits.ts';
import { type Answer, startTestServer, type TestServer } from '../support/test-server.ts';

const unknownId = '00000000-0000-4000-8000-000000000000';
let server: TestServer;
let dataId: string;

beforeAll(async () => {
  server = await startTestServer();
  const { json } = await server.post('/metrology/stream/initialize', { points_per_chunk: 2 });
  dataId = json.data_id;
});
afterAll(async () => {
  await server?.close();
});

const chunk = (change: object) =>
  server.post('/metrology/stream/chunk', {
    data_id: dataId,
    chunk_index: 0,
    channel_name: 'p',
    timestamps: [1],
    values: [2],
    ...change,
  });
const multi = (channels: unknown) =>
  server.post('/metrology/stream/chunk/multi', { data_id: dataId, chunk_index: 0, channels });
const initialize = (change: object) =>
  server.post('/metrology/stream/initialize', { points_per_chunk: 100, ...change });

/** The single error of a 422, after checks that hold for every one. */
function onlyError(answer: Answer) {
  expect(answer.status, answer.text).toBe(422);
  expect(Object.keys(answer.json)).toEqual(['detail']);
  expect(answer.json.detail).toHaveLength(1);
  const [error] = answer.json.detail;
  expect(error).toMatchObject({ type: expect.any(String), loc: expect.any(Array), msg: expect.any(String) });
  expect(Object.keys(error).filter((key) => !['type', 'loc', 'msg', 'input'].includes(key))).toEqual([]);
  return error as { type: string; loc: (string | number)[]; msg: string; input?: unknown };
}

async function storedPoints(): Promise<number> {
  const { rows } = await server.owner.pool.query('select coalesce(sum(point_count), 0)::integer as n from channels');
  return rows[0].n;
}

describe('wrong types are refused by name and store nothing', () => {
  const wrong = [null, true, '2', {}, [], 1.5];
  const except = (...allowed: unknown[]) => wrong.filter((value) => !allowed.includes(value));
  const outOfRange = { points_per_chunk: [0, -1, 2 ** 31, 1e300], chunk_index: [-1, 2 ** 53, 1e300] };

  test.each([
    ['points_per_chunk', [...except(), ...outOfRange.points_per_chunk]],
    ['stream_name', [true, 2, {}, [], 'a\u0000b', '\ud800', 'x'.repeat(contract.textLengthMax + 1)]],
    ['synth_source_id', [true, '2', {}, [], 1.5, 0, 2 ** 31]],
    ['instrument_type', [true, 2, {}, 'a\u0000b', '\udfff']],
    ['physical_sample_id', [true, 2, {}, '', 'x', `${unknownId}0`, unknownId.replaceAll('-', '')]],
    ['project_id', [true, 2, {}, '', 'my project', ` ${unknownId}`]],
  ])('initialize: %s', async (field, values) => {
    const count = async () => (await server.owner.pool.query('select 1 from streams')).rowCount;
    const before = await count();
    for (const value of values) {
      const error = onlyError(await initialize({ [field]: value }));
      expect(error.loc, JSON.stringify(value)).toEqual(['body', field]);
    }
    expect(await count()).toBe(before);
  });

  test.each([
    ['data_id', [...wrong, '', 'x', 3]],
    ['chunk_index', [...wrong, ...outOfRange.chunk_index]],
    ['channel_name', [null, true, {}, [], 1, '', 'x'.repeat(256), 'a\u0000b', '\ud83d']],
    ['timestamps', [null, true, '2', {}, 1]],
    ['values', [null, true, '2', {}, 1, []]],
    ['units', [true, 2, {}, [], 'a\u0000b', '\ud800', 'x'.repeat(contract.textLengthMax + 1)]],
  ])('chunk: %s', async (field, values) => {
    for (const value of values) {
      const error = onlyError(await chunk({ [field]: value }));
      expect(error.loc, JSON.stringify(value)).toEqual(['body', field]);
    }
    expect(await storedPoints()).toBe(0);
  });

  test.each(['timestamps', 'values'])('chunk: an element of %s is named by its index', async (field) => {
    for (const value of [true, '2', {}, [], [1]]) {
      const error = onlyError(await chunk({ timestamps: [1, 2, 3], values: [1, 2, 3], [field]: [1, null, value] }));
      expect(error.loc).toEqual(['body', field, 2]);
    }
    expect(await storedPoints()).toBe(0);
  });

  test.each(['data_id', 'chunk_index', 'channel_name', 'timestamps', 'values'])('chunk: missing %s', async (field) => {
    const error = onlyError(await chunk({ [field]: undefined }));
    expect(error).toMatchObject({ type: 'missing', loc: ['body', field], msg: 'Field required' });
    expect(error).not.toHaveProperty('input');
  });

  test.each([null, true, 'x', 3, []])('a body that is %j', async (body) => {
    expect(onlyError(await server.post('/metrology/stream/chunk', JSON.stringify(body))).loc).toEqual(['body']);
  });

  test('the limit stands in the sentence', async () => {
    expect(onlyError(await chunk({ channel_name: 'x'.repeat(256) })).msg).toContain('255');
    expect(onlyError(await chunk({ units: 'x'.repeat(1_001) })).msg).toContain('1000');
    expect(onlyError(await chunk({ chunk_index: 2 ** 53 })).msg).toContain('9007199254740991');
    expect(onlyError(await chunk({ chunk_index: 2 ** 52 })).msg).toContain('9007199254740991');
    expect(onlyError(await initialize({ points_per_chunk: 2 ** 31 })).msg).toContain('2147483647');
    const many = Object.fromEntries(
      Array.from({ length: streamLimits.channelsPerRequestMax + 1 }, (_, i) => [
        `c${i}`,
        { timestamps: [1], values: [1] },
      ]),
    );
    expect(onlyError(await multi(many)).msg).toContain(String(streamLimits.channelsPerRequestMax));
    expect(await storedPoints()).toBe(0);
  });
});

describe('what a 422 shows', () => {
  test('an input is cut at 100 characters', async () => {
    const { input } = onlyError(await initialize({ project_id: 'é'.repeat(101) }));
    expect(input).toBe(`${'é'.repeat(100)}…`);
    expect(onlyError(await initialize({ project_id: 'é'.repeat(100) })).input).toBe('é'.repeat(100));
  });

  test('a cut never leaves half a character', async () => {
    const { input } = onlyError(await initialize({ project_id: `${'x'.repeat(99)}😀😀` }));
    expect(String(input).isWellFormed()).toBe(true);
  });

  test('arrays and objects are never echoed', async () => {
    for (const answer of [
      await chunk({ timestamps: Array(5_000).fill('1705312200.5') }),
      await chunk({ values: { secret: 1 } }),
      await chunk({ timestamps: [1, 2, 3], values: [7.25] }),
      await multi({ p: { timestamps: [1, 2, 3], values: [7.25, 7.25] } }),
      await multi([7.25, 7.25]),
    ]) {
      onlyError(answer);
      expect(answer.text.length).toBeLessThan(400);
      expect(answer.text).not.toMatch(/secret|7\.25/);
    }
  });
});

describe('errors of one of many channels', () => {
  const good = { timestamps: [1], values: [1] };

  test.each(['p', 'a/b %', 'a~1b', 'µ', '__proto__', 'constructor', '0', 'x'.repeat(255)])(
    'name the channel %j',
    async (name) => {
      const body = (readings: string) =>
        `{"data_id":"${dataId}","chunk_index":0,"channels":{"good":${JSON.stringify(good)},${JSON.stringify(name)}:${readings}}}`;
      const refused = async (readings: string) =>
        onlyError(await server.post('/metrology/stream/chunk/multi', body(readings))).loc;
      expect(await refused('{"timestamps":[1]}')).toEqual(['body', 'channels', name, 'values']);
      expect(await refused('{"timestamps":[1],"values":["x"]}')).toEqual(['body', 'channels', name, 'values', 0]);
      expect(await refused('{"timestamps":[],"values":[]}')).toEqual(['body', 'channels', name]);
      expect(await refused('null')).toEqual(['body', 'channels', name]);
      expect((await refused('{"timestamps":[1,2],"values":[1]}')).slice(0, 3)).toEqual(['body', 'channels', name]);
      expect(await storedPoints()).toBe(0);
    },
  );

  test.each([
    ['an empty name', '', '', /1 char/],
    ['a name that is too long', 'x'.repeat(256), `${'x'.repeat(255)}…`, /255 char/],
    ['a name with U+0000', 'a\u0000b', 'a\u0000b', /U\+0000/],
    ['a name with half a character', 'a\ud800', 'a\ufffd', /lone surrogate/],
  ])('%s is named and explained', async (_what, name, shown, sentence) => {
    const error = onlyError(await multi({ good, [name]: good }));
    expect(error.loc).toEqual(['body', 'channels', shown]);
    expect(error.msg).toMatch(sentence);
    expect(error.input).toBe(shown.length > 100 ? `${shown.slice(0, 100)}…` : shown);
    expect(await storedPoints()).toBe(0);
  });

  test('no channel at all', async () => {
    expect(onlyError(await multi({})).loc).toEqual(['body', 'channels']);
  });
});

describe('paths', () => {
  test.each(['/nowhere', '/tool-state/stream', '/data_entries/x/y', '/p/tool-state/stream/initialize'])(
    '%s does not exist',
    async (path) => {
      for (const key of [undefined, null]) {
        const answer = await server.send('GET', `${path}?secret=1`, undefined, key);
        expect(answer).toMatchObject({ status: 404, json: { detail: `GET ${path} does not exist here.` } });
        expect(Object.keys(answer.json)).toEqual(['detail']);
      }
    },
  );

  test.each([
    ['GET', '/tool-state/stream/initialize', 'POST'],
    ['PUT', `/metrology/stream/${unknownId}/finalize`, 'POST'],
    ['DELETE', '//metrology//stream/chunk/', 'POST'],
    ['POST', '/healthz', 'GET, HEAD'],
    ['HEAD', '/tool-state/stream/chunk', 'POST'],
    ['OPTIONS', '/physical_samples', 'GET, HEAD, POST'],
    ['PATCH', '/tags/', 'GET, HEAD, POST'],
    ['QUERY', '/healthz', 'GET, HEAD'],
    ['TRACE', '/projects/', 'GET, HEAD, POST'],
  ])('%s %s is answered 405 with Allow: %s', async (method, path, allow) => {
    const answer = await server.send(method, path, method === 'PUT' ? {} : undefined, null);
    expect(answer.status).toBe(405);
    expect(answer.headers.allow).toBe(allow);
    if (method !== 'HEAD')
      expect(answer.json).toEqual({ detail: expect.stringContaining(`the methods of this path are ${allow}`) });
  });

  test('a path that is no URL is refused', async () => {
    for (const path of ['/metrology/%zz/timeseries/', '/%']) {
      const answer = await server.get(path);
      expect([answer.status, answer.json]).toEqual([400, { detail: expect.stringContaining('URL') }]);
    }
  });

  test('every documented route is found with duplicate and with trailing slashes, and nothing redirects', async () => {
    const { paths } = server.app.swagger() as unknown as { paths: Record<string, Record<string, unknown>> };
    // `/` has no other form.
    const documented = Object.entries(paths).filter(([path]) => path !== '/');
    const routes = documented.flatMap(([path, methods]) => Object.keys(methods).map((one) => [one, path]));
    expect(routes.length).toBeGreaterThan(25);
    for (const [method, path] of [...routes, ['get', '/openapi.yaml']] as [string, string][]) {
      const plain = path.replaceAll(/\{\w+\}/g, unknownId).replace(/\/$/, '');
      for (const url of [plain, `${plain}/`, `/${plain}`, `${plain.replaceAll('/', '//')}//`, `///${plain}//?a=b`]) {
        const answer = await server.send(method.toUpperCase(), url, undefined, null);
        // Who signs in has no key yet, so that a body is asked for first.
        const found = plain === '/session' && method === 'post' ? [422] : [200, 401];
        expect(found, `${method} ${url}: ${answer.text.slice(0, 100)}`).toContain(answer.status);
        expect(answer.headers.location).toBeUndefined();
      }
    }
  });
});

describe('errors that no one foresaw', () => {
  const secret = 'relation "treasure" at 10.0.0.7';

  async function answerTo(error: unknown) {
    const app = Fastify();
    answerErrors(app);
    app.get('/', async () => {
      throw error;
    });
    const { statusCode, headers, payload } = await app.inject('/');
    await app.close();
    return { status: statusCode, retryAfter: headers['retry-after'], ...(JSON.parse(payload) as { detail: string }) };
  }
  const postgres = (code: string) => Object.assign(new pg.DatabaseError(secret, 1, 'error'), { code, detail: secret });

  test.each([
    new Error(secret),
    new TypeError(secret),
    secret,
    undefined,
    postgres('42P01'),
    postgres('22021'),
    Object.assign(new Error(secret), { statusCode: 502 }),
    // Of a file, or of a socket to somebody else.
    ...['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE'].map((code) => Object.assign(new Error(secret), { code })),
  ])('%o is answered 500 and nothing of it is shown', async (error) => {
    const { status, detail } = await answerTo(error);
    expect(status).toBe(500);
    expect(detail).toMatch(/^Internal error/);
  });

  test.each([
    ...['08006', '53300', '57P01', '57P03', '57014', '53100', '25006', '40001', '40P01'].map(postgres),
    ...['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'ENOENT'].map((code) =>
      noteConnectionError(Object.assign(new Error(secret), { code })),
    ),
    new Error('Connection terminated unexpectedly'),
    new Error('timeout exceeded when trying to connect'),
    new Error('Query read timeout'),
  ])('%o can pass: 503 with Retry-After, and nothing of it is shown', async (error) => {
    const { status, retryAfter, detail } = await answerTo(error);
    expect(status).toBe(503);
    expect(Number(retryAfter)).toBeGreaterThanOrEqual(1);
    expect(detail).toMatch(/nothing was stored\.$/);
    expect(detail).not.toMatch(/treasure|10\.0/);
  });
});
