import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { findIdentity } from '../../src/auth/store.ts';
import { chunkBody, openStream } from '../streams/support/chunks.ts';
import { startTestServer, type TestConfig, type TestLimits, type TestServer } from '../support/test-server.ts';
import { openConnection, startListeningApp } from './support/listening-app.ts';

let server: TestServer;
let dataId: string;
beforeAll(async () => {
  server = await startTestServer();
  dataId = await openStream(server);
});
afterAll(() => server?.close());

/** An app that listens, what to ask it, and the lines that it has logged once it has ended. */
async function listening(config: TestConfig = {}, limits: TestLimits = {}) {
  const { app, port, logged, close } = await startListeningApp(server.database, config, limits);
  onTestFinished(close);
  return {
    ask: (path: string, { headers = {}, ...more }: RequestInit = {}) =>
      fetch(`http://127.0.0.1:${port}${path}`, { ...more, headers: { 'x-api-key': server.keys.ada, ...headers } }),
    chunk: (index: number) => ({
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(chunkBody(dataId, index, 'p', [index])),
    }),
    port,
    /** Lines that say how something was answered. */
    async lines() {
      await app.close();
      const lines = logged()
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      return lines.filter(({ status, answered, refused }) => status ?? answered ?? refused);
    },
  };
}

describe('an answered request', () => {
  test('is one line: its id, who, what, how it went, how long it took, from where', async () => {
    const { ask, lines } = await listening();
    const { headers } = await ask(`/exports/${dataId}/metadata?layout=wide`);
    expect(await lines()).toEqual([
      {
        ...{ level: 30, time: expect.any(Number), pid: expect.any(Number), hostname: expect.any(String) },
        ...{ msg: 'answered', request_id: headers.get('x-request-id'), status: 200, method: 'GET' },
        ...{ route: '/exports/:data_id/metadata/', data_id: dataId, address: '127.0.0.1' },
        ...{ key_id: (await findIdentity(server.database, server.keys.ada))?.keyId, duration_ms: expect.any(Number) },
      },
    ]);
  });

  test.each([
    ['off', ['401 /runs/']],
    ['usual', ['200 /runs/', '401 /runs/', '200 /session']],
    ['all', ['200 /runs/', '401 /runs/', '201 /metrology/stream/chunk', '200 /healthz', '200 /session']],
  ])('ACCESS_LOG=%s', async (which, expected) => {
    const { ask, chunk, lines } = await listening({ ACCESS_LOG: which });
    await ask('/runs/');
    await ask('/runs/', { headers: { 'x-api-key': '' } });
    await ask('/metrology/stream/chunk', chunk(0));
    await ask('/healthz');
    await ask('/session', {
      ...{ method: 'POST', body: JSON.stringify({ api_key: server.keys.ada }) },
      headers: { 'content-type': 'application/json' },
    });
    expect((await lines()).map(({ status, route }) => `${status} ${route}`)).toEqual(expected);
  });

  test('of a chunk names its stream', async () => {
    const { ask, chunk, lines } = await listening({ ACCESS_LOG: 'all' });
    await ask('/metrology/stream/chunk', chunk(1));
    expect(await lines()).toMatchObject([{ status: 201, data_id: dataId }]);
  });

  test('has no line by itself after answersLoggedMax: then a sum, and what most of them were', async () => {
    const { ask, lines } = await listening({}, { http: { answersLoggedMax: 3, refusalsLoggedMax: 1 } });
    for (let i = 0; i < 8; i++) await ask('/runs/');
    for (let i = 0; i < 3; i++) await ask('/nowhere');
    await ask('/tags/');
    const said = await lines();
    expect(said.slice(0, -1).map(({ status }) => status)).toEqual([200, 200, 200, 404]);
    const key_id = (await findIdentity(server.database, server.keys.ada))?.keyId;
    expect(said.at(-1)).toMatchObject({
      ...{ answered: { 200: 6 }, refused: { 404: 2 } },
      most: [
        { status: 200, method: 'GET', route: '/runs/', key_id, count: 5 },
        { status: 404, method: 'GET', route: '', address: '127.0.0.1', count: 2 },
        { status: 200, method: 'GET', route: '/tags/', key_id, count: 1 },
      ],
    });
  });

  test('of more kinds than refusalKindsMax is in the sum, and the sum names refusalKindsShownMax', async () => {
    const few = { answersLoggedMax: 0, refusalKindsMax: 3, refusalKindsShownMax: 2 };
    const { ask, lines } = await listening({}, { http: few });
    for (const path of ['/runs/', '/tags/', '/projects/', '/physical_samples/', '/runs/']) await ask(path);
    expect(await lines()).toMatchObject([
      { answered: { 200: 5 }, most: [{ route: '/runs/', count: 2 }, { count: 1 }] },
    ]);
  });
});

describe('X-Request-Id', () => {
  test('comes back as it was sent, and stands in the line', async () => {
    const { ask, lines } = await listening();
    const sent = { headers: { 'x-request-id': 'trace-1:2/3=4' } };
    for (const path of ['/runs/', '/nowhere', '/healthz']) {
      expect((await ask(path, sent)).headers.get('x-request-id')).toBe('trace-1:2/3=4');
    }
    expect((await lines()).map(({ request_id, status }) => [request_id, status])).toEqual([
      ['trace-1:2/3=4', 200],
      ['trace-1:2/3=4', 404],
    ]);
  });

  test.each([
    ['none', undefined],
    ['a long one', 'x'.repeat(129)],
    ['one with a space', 'a b'],
    ['one with a quote', 'a"b'],
    ['one of other letters', 'ä'],
    ['several', 'a, b'],
  ])('is given to a request with %s, another one each time', async (_what, given) => {
    const { ask } = await listening();
    const ids: (string | null)[] = [];
    const headers: Record<string, string> = given === undefined ? {} : { 'x-request-id': given };
    for (let i = 0; i < 3; i++) ids.push((await ask('/healthz', { headers })).headers.get('x-request-id'));
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{10}-[0-9a-z]+$/);
    expect(new Set(ids).size).toBe(3);
  });

  test('of requestIdLengthMax is taken, and is on an answer to a URL that is none', async () => {
    const { ask, port } = await listening({}, { http: { requestIdLengthMax: 5 } });
    const idOf = async (given: string) =>
      (await ask('/healthz', { headers: { 'x-request-id': given } })).headers.get('x-request-id');
    expect([await idOf('12345'), await idOf('123456')]).toEqual(['12345', expect.stringContaining('-')]);
    const connection = await openConnection(port);
    await connection.send('GET /%zz HTTP/1.1\r\nHost: a\r\nX-Request-Id: 12345\r\nConnection: close\r\n\r\n');
    expect((await connection.answer()).head).toMatch(/^x-request-id: 12345\r?$/im);
  });
});

describe('TRUSTED_PROXIES', () => {
  const forwarded = { headers: { 'x-forwarded-for': '203.0.113.7, 198.51.100.4' } };
  test.each([
    ['none', undefined, '127.0.0.1'],
    ['another host', '192.0.2.1', '127.0.0.1'],
    ['the proxy', '127.0.0.1', '198.51.100.4'],
    ['the proxy, and one before it', 'loopback, 198.51.100.0/24', '203.0.113.7'],
  ])('%s: the line says who the client is as far as the proxies are trusted', async (_what, trusted, address) => {
    const { ask, lines } = await listening(trusted === undefined ? {} : { TRUSTED_PROXIES: trusted });
    await ask('/runs/', forwarded);
    await ask('/nowhere', forwarded);
    expect((await lines()).map(({ status, address }) => [status, address])).toEqual([
      [200, address],
      [404, address],
    ]);
  });
});
