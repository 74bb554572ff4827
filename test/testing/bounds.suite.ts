import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { packFolder, unpackFolder } from '../../src/testing/archive.ts';
import { type StartedServer, startServerForTests } from '../../src/testing/server.ts';
import { chunkOf, clientOf } from './support/built-program.ts';

/* Bounds of a server for tests, made small; and a kept cluster that is whole, but of no use to PostgreSQL. */

const limits = { waitSecondsMax: 2, faultDelayMsMax: 300, journalBytesMax: 2_000 };
let folder: string;
let cacheDir: string;
let server: StartedServer;
let send: ReturnType<typeof clientOf>;

const start = () =>
  startServerForTests({
    config: readConfig({ LOG_LEVEL: 'silent' }),
    port: 0,
    seed: 'bounds',
    keep: undefined,
    cacheDir,
    limits,
    log: pino({ level: 'silent' }),
  });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'metrology-test-bounds-'));
  cacheDir = join(folder, 'cache');
  await mkdir(cacheDir);
  server = await start();
  send = clientOf(server.line.url, server.line.api_key);
});
afterAll(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

test('a wait is bounded: a longer one is refused by name, and without one the bound is the default', async () => {
  const refused = await send('GET', '/_test/requests?count=1&wait_s=3');
  expect([refused.status, refused.json.detail]).toMatchObject([
    422,
    [{ loc: ['query', 'wait_s'], msg: 'at most 2 s (waitSecondsMax)' }],
  ]);
  const startedAt = performance.now();
  expect((await send('GET', '/_test/requests?count=1')).json).toMatchObject({ has_count: false, requests: [] });
  expect(performance.now() - startedAt).toBeGreaterThan(1_900);
});

test('a delay is bounded: a longer one is refused by name, and makes no rule', async () => {
  const refused = await send('POST', '/_test/faults', { action: { delay_ms: 301 } });
  expect([refused.status, refused.json.detail]).toMatchObject([
    422,
    [{ loc: ['body', 'action', 'delay_ms'], msg: 'at most 300 ms (faultDelayMsMax)' }],
  ]);
  expect((await send('GET', '/_test/faults')).json).toEqual([]);
  const { json } = await send('POST', '/_test/faults', { action: { delay_ms: 300 } });
  expect((await send('DELETE', `/_test/faults/${json.id}`)).status).toBe(204);
});

test('bodies are kept within the bound: a compressed one is not unpacked further, a plain one is dropped and counted', async () => {
  const { data_id } = (await send('POST', '/metrology/stream/initialize', { points_per_chunk: 2 })).json;
  await send('DELETE', '/_test/requests');
  const large = JSON.stringify({ ...chunkOf(data_id, 0), units: 'nm'.padEnd(2_001) });
  const headers = { 'x-api-key': server.line.api_key, 'content-type': 'application/json', 'content-encoding': 'gzip' };
  const url = `${server.line.url}/metrology/stream/chunk`;
  await fetch(url, { method: 'POST', headers, body: gzipSync(large) });
  expect((await send('GET', '/_test/requests')).json).toMatchObject({ dropped: 0, requests: [{ body: null }] });
  const { 'content-encoding': _, ...plain } = headers;
  await fetch(url, { method: 'POST', headers: plain, body: large });
  expect((await send('GET', '/_test/requests')).json).toMatchObject({ dropped: 2, requests: [] });
});

test('a kept cluster that is whole and with which PostgreSQL does not start is made anew', async () => {
  const [name] = (await readdir(cacheDir)).filter((found) => found.startsWith('cluster-'));
  const kept = join(cacheDir, name as string);
  const cluster = join(folder, 'cluster');
  unpackFolder(await readFile(kept), cluster);
  const useless = packFolder(cluster, ['global/pg_control']);
  await writeFile(kept, useless);
  const other = await start();
  try {
    const opened = await clientOf(other.line.url, other.line.api_key)('POST', '/metrology/stream/initialize', {
      points_per_chunk: 2,
    });
    expect(opened.status).toBe(200);
    expect((await readFile(kept)).equals(useless)).toBe(false);
  } finally {
    await other.stop();
  }
});
