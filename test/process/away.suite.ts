import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { freePort } from '../../bench/support/processes.ts';
import { startTcpProxy, type TcpProxy } from '../http/support/tcp-proxy.ts';
import { buildServer, type Program, run } from '../support/built-server.ts';
import { cloneDatabase } from '../support/test-server.ts';

/* A server that is started while PostgreSQL is away: the built one, as a process. */

const key = 'a-key-for-the-start';
let built: Awaited<ReturnType<typeof buildServer>>;
let folder: string;
beforeAll(async () => {
  built = await buildServer();
  folder = await mkdtemp(join(tmpdir(), 'metrology-away-'));
}, 60_000);
afterAll(async () => {
  await built?.remove();
  if (folder) await rm(folder, { recursive: true, force: true });
});

async function startAway(changed: (url: URL) => void = () => {}) {
  const databaseUrl = await cloneDatabase();
  const proxy: TcpProxy = await startTcpProxy(databaseUrl);
  await proxy.close();
  onTestFinished(() => proxy.close().catch(() => {}));
  const url = new URL(proxy.urlOf(databaseUrl));
  changed(url);
  const port = await freePort();
  const settings = { DATABASE_URL: url.href, PORT: String(port), BOOTSTRAP_API_KEY: key, DATA_DIR: folder };
  const server: Program = run(built.folder, 'main.js', [], settings);
  onTestFinished(() => void server.child.kill('SIGKILL'));
  await expect.poll(() => server.stdout(), { timeout: 60_000 }).toContain('Waiting');
  return { server, proxy, endpoint: `http://127.0.0.1:${port}` };
}

const wait = { timeout: 90_000 };

test('it listens, says so, and works once PostgreSQL is there', wait, async () => {
  const { server, proxy, endpoint } = await startAway();
  expect(server.stdout()).toContain(`Address  ${endpoint}\n`);
  expect(server.stderr()).toContain('"waiting for the database"');
  const status = async (path: string) => (await fetch(endpoint + path)).status;
  expect(await status('/healthz')).toBe(200);
  expect(await status('/readyz')).toBe(503);

  await proxy.open();
  await expect.poll(() => status('/readyz'), { timeout: 30_000 }).toBe(200);
  await expect.poll(() => server.stdout(), { timeout: 30_000 }).toContain('timeseries_data)');
  const opened = await fetch(`${endpoint}/tool-state/stream/initialize`, {
    method: 'POST',
    headers: { 'x-api-key': key, 'content-type': 'application/json' },
    body: JSON.stringify({ points_per_chunk: 1 }),
  });
  expect(opened.status).toBe(200);
  server.child.kill('SIGTERM');
  expect(await server.exit()).toMatchObject({ code: 0 });
});

test(
  'whoever comes before it is ready, with the key of BOOTSTRAP_API_KEY, is never told that the key is unknown',
  wait,
  async () => {
    const { server, proxy, endpoint } = await startAway();
    const statuses = new Set<number>();
    let isOver = false;
    // New ones all the time, so that some are looked up as soon as the database can be asked.
    const clients = Array.from({ length: 8 }, async () => {
      while (!isOver)
        statuses.add((await fetch(`${endpoint}/data_entries/`, { headers: { 'x-api-key': key } })).status);
    });
    await proxy.open();
    await expect.poll(() => server.stdout(), { timeout: 30_000 }).toContain('timeseries_data)');
    await expect.poll(() => statuses.has(200), { timeout: 30_000 }).toBe(true);
    isOver = true;
    await Promise.all(clients);
    expect([...statuses]).not.toContain(401);
  },
);

test('what can never work ends the start once PostgreSQL is there to say it', wait, async () => {
  const { server, proxy } = await startAway((url) => {
    url.username = 'nobody_of_that_name';
    url.password = 'sesame';
  });
  await proxy.open();
  expect(await server.exit()).toMatchObject({ code: 1 });
  expect(server.stderr()).toContain('metrology-server cannot start.\nThe database refuses the connection');
  expect(server.stderr()).not.toMatch(/sesame|\n\s+at /);
});

test('SIGHUP, as of a terminal that is closed, ends it in order while it waits', wait, async () => {
  const { server } = await startAway();
  server.child.kill('SIGHUP');
  expect(await server.exit(15_000)).toMatchObject({ code: 0, signal: null });
});
