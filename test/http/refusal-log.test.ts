import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { apiKeyHint, newApiKey } from '../../src/auth/api-key.ts';
import { createRefusalLog } from '../../src/http/refusal-log.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { startListeningApp } from './support/listening-app.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.close());

test('a flood of refusals is a few lines and a sum, and hides no other kind', async () => {
  const { app, logged } = await startListeningApp(
    server.database,
    {},
    { http: { refusalsLoggedMax: 5, refusalLogMs: 60_000 } },
  );
  for (let i = 0; i < 500; i++) expect((await app.inject('/data_entries/')).statusCode).toBe(401);
  const wrong = { url: '/data_entries/?data_ids=x', headers: { 'x-api-key': server.keys.ada } };
  expect((await app.inject(wrong)).statusCode).toBe(422);
  await app.close();
  const lines = logged()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const alone = lines.filter(({ msg }) => msg === 'refused').map(({ status }) => status);
  expect(alone).toEqual([401, 401, 401, 401, 401, 422]);
  const most = [{ status: 401, method: 'GET', route: '/data_entries/', address: '127.0.0.1', count: 495 }];
  expect(lines.filter(({ refused }) => refused).map(({ refused, most }) => [refused, most])).toEqual([
    [{ 401: 495 }, most],
  ]);
});

test('the sum comes every refusalLogMs, and then some are logged by themselves again', async () => {
  const sums: unknown[] = [];
  const log = createRefusalLog({
    limits: { refusalsLoggedMax: 2, refusalLogMs: 50 },
    sumUp: (counts) => sums.push(counts),
  });
  onTestFinished(() => log.close());
  expect([log.takes(503), log.takes(503), log.takes(503), log.takes(401)]).toEqual([true, true, false, true]);
  await expect.poll(() => sums).toEqual([{ 503: 1 }]);
  expect(log.takes(503)).toBe(true);
  await sleep(120);
  expect(sums).toHaveLength(1);
});

test('a flood of strangers hides no refusal of a known key', () => {
  const sums: unknown[] = [];
  const log = createRefusalLog({
    limits: { refusalsLoggedMax: 2, refusalLogMs: 60_000 },
    sumUp: (counts) => sums.push(counts),
  });
  expect(Array.from({ length: 5 }, () => log.takes(404, true))).toEqual([true, true, false, false, false]);
  expect(Array.from({ length: 3 }, () => log.takes(404))).toEqual([true, true, false]);
  log.close();
  expect(sums).toEqual([{ 404: 4 }]);
});

describe('a line of the log says', () => {
  const unknownId = '00000000-0000-4000-8000-00000000000a';
  const chunk = { data_id: unknownId, chunk_index: 0, channel_name: 'p', timestamps: [1], values: [1] };
  const long = Array(1_000).fill(1);

  /** The lines that a request leaves, beside what every line has. */
  async function linesOf(path: string, payload: unknown, headers: Record<string, string> = {}) {
    const limits = { streams: { loopBodyBytesMax: 4_096 } };
    const { app, port, logged, close } = await startListeningApp(
      server.database,
      { FINALIZE_GRACE_SECONDS: 0 },
      limits,
    );
    onTestFinished(close);
    await fetch(`http://127.0.0.1:${port}${path}`, {
      method: 'POST',
      headers: { 'x-api-key': server.keys.ada, 'content-type': 'application/json', ...headers },
      body: typeof payload === 'string' ? payload : JSON.stringify(payload),
    });
    await app.close();
    const refused = logged()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter(({ detail }) => detail !== undefined);
    expect(refused.map(({ request_id, duration_ms }) => [typeof request_id, duration_ms > 0])).toEqual(
      refused.map(() => ['string', true]),
    );
    return refused.map(({ level, time, pid, hostname, request_id, duration_ms, msg, detail, ...rest }) => rest);
  }
  const known = { method: 'POST', key_id: expect.any(Number), address: '127.0.0.1' };

  test.each([
    ['an unknown stream', 'chunk', chunk, 404],
    ['lengths that differ', 'chunk', { ...chunk, values: [] }, 422],
    ['a wrong type', 'chunk/multi', { data_id: unknownId, chunk_index: 0, channels: [] }, 422],
    ['an unknown stream, read in a thread', 'chunk', { ...chunk, timestamps: long, values: long }, 404],
    ['a wrong type, found in a thread', 'chunk', { ...chunk, timestamps: long, values: 'x' }, 422],
    ['an unknown stream to finalize', `${unknownId}/finalize`, '', 404],
  ])('which stream, route, key and address: %s', async (_what, call, body, status) => {
    const route = `/metrology/stream/${call.replace(unknownId, ':data_id')}`;
    expect(await linesOf(`/metrology/stream/${call}`, body)).toEqual([{ ...known, status, route, data_id: unknownId }]);
  });

  test('what is known, where the body is no JSON', async () => {
    const route = '/tool-state/stream/chunk';
    expect(await linesOf(route, '{"data_id":NaN}')).toEqual([{ ...known, status: 400, route }]);
  });

  test('the path, where there is no such route, and who a proxy says it was', async () => {
    const forwarded = { 'x-forwarded-for': '10.0.0.7' };
    const [line, ...more] = await linesOf('/tool-state/strem/chunk?x=1', chunk, forwarded);
    const where = { route: '/tool-state/strem/chunk', forwarded_for: '10.0.0.7' };
    expect([line, more]).toMatchObject([{ method: 'POST', status: 404, address: '127.0.0.1', ...where }, []]);
  });

  test('the hint of a key that opens nothing, and never the key', async () => {
    const key = newApiKey();
    const [line, ...more] = await linesOf('/tool-state/stream/chunk', chunk, { 'x-api-key': key });
    expect(more).toEqual([]);
    expect(line).toMatchObject({ status: 401, route: '/tool-state/stream/chunk', key_hint: apiKeyHint(key) });
    expect(JSON.stringify(line)).not.toContain(key.slice(16));
  });
});
