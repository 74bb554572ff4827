import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { joinTestServer, startTestServer, type TestServer } from '../support/test-server.ts';

const listed = 'https://lab.example';
let closed: TestServer;
let server: TestServer;

beforeAll(async () => {
  closed = await startTestServer();
  server = await joinTestServer(closed, { CORS_ORIGINS: `${listed}, http://localhost:5173` });
});
afterAll(async () => {
  await server?.close();
  await closed?.close();
});

describe('every answer', () => {
  test.each([
    ['with data', 200, '/data_entries/'],
    ['that is refused', 401, '/data_entries/?key=none'],
    ['to what is not there', 404, '/nowhere'],
    ['to another method', 405, '/data_entries/physical_sample'],
    ['to a wrong URL', 400, '/%zz'],
    ['about health', 200, '/healthz'],
    ['with the document', 200, '/openapi.yaml'],
    ['to a wrong query', 422, '/data_entries/?data_ids=x'],
  ])('%s is kept by no cache and guessed by no browser: %i', async (_what, status, url) => {
    const { headers, ...answer } = await closed.get(url, url.includes('key=none') ? null : closed.keys.ada);
    expect(answer.status, answer.text).toBe(status);
    expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' });
    expect(headers).toHaveProperty('content-type');
    expect(headers).not.toHaveProperty('server');
    expect(headers).not.toHaveProperty('x-powered-by');
  });

  test('of a page may be kept, but is asked for again; nobody may frame it', async () => {
    const { headers } = await closed.get('/docs', null);
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-cache',
      'referrer-policy': 'no-referrer',
      'content-security-policy': expect.stringContaining("frame-ancestors 'none'"),
    });
  });
});

describe('a page of another origin', () => {
  const ask = ({ app }: TestServer, method: 'GET' | 'OPTIONS', origin: string, key?: string) =>
    app.inject({
      method,
      url: '/data_entries/',
      headers: {
        origin,
        ...(key && { 'x-api-key': key }),
        ...(method === 'OPTIONS' && {
          'access-control-request-method': 'GET',
          'access-control-request-headers': 'x-api-key',
        }),
      },
    });
  const allowed = 'access-control-allow-origin';

  test('may use nothing unless CORS_ORIGINS lists it', async () => {
    for (const [one, origin] of [
      [closed, listed],
      [server, 'https://elsewhere.example'],
      [server, `${listed}.elsewhere.example`],
      [server, 'http://lab.example'],
      [server, 'null'],
    ] as const) {
      for (const method of ['GET', 'OPTIONS'] as const) {
        const { headers, statusCode } = await ask(one, method, origin, one.keys.ada);
        expect([origin, headers[allowed]]).toEqual([origin, undefined]);
        expect(statusCode).toBeLessThan(500);
      }
    }
    expect((await ask(closed, 'OPTIONS', listed)).statusCode).toBe(405);
  });

  test.each([listed, 'http://localhost:5173'])(
    '%s, when listed, asks first without a key, then under one',
    async (origin) => {
      const preflight = await ask(server, 'OPTIONS', origin);
      expect(preflight.statusCode).toBe(204);
      expect(preflight.headers).toMatchObject({
        [allowed]: origin,
        vary: expect.stringContaining('Origin'),
        'access-control-allow-headers': expect.stringMatching(/x-api-key/i),
        'access-control-allow-methods': expect.stringMatching(/GET.*POST.*DELETE/),
      });
      expect(preflight.headers).not.toHaveProperty('access-control-allow-credentials');
      for (const [key, status] of [
        [server.keys.ada, 200],
        [undefined, 401],
      ] as const) {
        const answer = await ask(server, 'GET', origin, key);
        expect([answer.statusCode, answer.headers[allowed]]).toEqual([status, origin]);
      }
    },
  );
});
