import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { createRefusalLog } from '../../src/http/refusal-log.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { startListeningApp } from './listening-app.ts';

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
  expect(lines.filter(({ refused }) => refused).map(({ refused }) => refused)).toEqual([{ 401: 495 }]);
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
