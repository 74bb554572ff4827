import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { follow, type LiveEvent } from '../live/support/follower.ts';
import { type HeldSocket, holdSocket } from '../process/support/held-socket.ts';
import { type Load, loadOnKeptConnections } from '../process/support/kept-connections.ts';
import { buildServer, type Server, serve, servingPids } from '../support/built-server.ts';

/*
 * A server is restarted, reloaded and killed while clients keep 32 connections and send a chunk on each every 100 to 500 ms.
 * They send nothing twice, so that a single request that is refused, reset or cut is seen.
 */

const key = 'a-key-for-the-handover';
let built: Awaited<ReturnType<typeof buildServer>>;
let folder: string;
beforeAll(async () => {
  built = await buildServer();
  folder = await mkdtemp(join(tmpdir(), 'metrology-handover-'));
}, 60_000);
afterAll(async () => {
  await built?.remove();
  if (folder) await rm(folder, { recursive: true, force: true });
});

const startMsMax = 60_000;
const settings = (name: string, more = {}) => ({ DATA_DIR: join(folder, name), BOOTSTRAP_API_KEY: key, ...more });

async function post(endpoint: string, path: string, body: unknown) {
  const headers = { 'x-api-key': key, 'content-type': 'application/json' };
  const answer = await fetch(endpoint + path, { method: 'POST', headers, body: JSON.stringify(body) });
  return { status: answer.status, json: (await answer.json()) as Record<string, unknown> };
}

const chunk = (dataId: unknown, index: number) => ({
  data_id: dataId,
  chunk_index: index,
  channel_name: 'p',
  timestamps: [index],
  values: [index],
});

/** Clients that push one record. */
async function pushOn(endpoint: string): Promise<{ load: Load; check(): Promise<void> }> {
  const { json } = await post(endpoint, '/tool-state/stream/initialize', { points_per_chunk: 1 });
  let index = 0;
  const load = loadOnKeptConnections(endpoint, {
    connections: 32,
    pauseMs: [100, 500],
    next: () => ({
      path: '/tool-state/stream/chunk',
      headers: { 'x-api-key': key, 'content-type': 'application/json' },
      body: JSON.stringify(chunk(json.data_id, index++)),
    }),
  });
  return {
    load,
    async check() {
      const outcomes = await load.stop();
      const slowest = Math.round(Math.max(...outcomes.map(({ ms }) => ms)));
      console.info(`${outcomes.length} requests, ${outcomes.filter(isFailure).length} failed, slowest ${slowest} ms`);
      const failures = outcomes.filter(isFailure);
      expect(failures, JSON.stringify(failures.slice(0, 10))).toEqual([]);
      const { json: receipt } = await post(endpoint, '/tool-state/stream/chunk', chunk(json.data_id, index));
      expect(receipt.total_points).toBe(index + 1);
    },
  };
}
const isFailure = ({ status }: { status: number | string }) => status !== 201;

/** Comes back when as many requests more have been answered. */
async function moreRequests({ outcomes }: Load, count: number): Promise<void> {
  const goal = outcomes.length + count;
  await expect.poll(() => outcomes.length, { timeout: 60_000, interval: 50 }).toBeGreaterThan(goal);
}

const versionAt = async (endpoint: string) =>
  ((await (await fetch(`${endpoint}/healthz`, { headers: { connection: 'close' } })).json()) as { version: string })
    .version;

async function installVersion(version: string): Promise<void> {
  const path = join(built.folder, 'package.json');
  await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), version }));
}

describe.each(['1', '2'])('on a socket that systemd holds, WORKERS=%s', (workers) => {
  test('a restart refuses no connection and resets no request', { timeout: 180_000 }, async () => {
    const socket: HeldSocket = await holdSocket();
    onTestFinished(() => socket.close());
    let server: Server | undefined;
    const start = async () => {
      server = await serve(built.folder, settings(`held-${workers}`, { WORKERS: workers }), { socket: socket.fd });
      return server;
    };
    onTestFinished(async () => {
      server?.child.kill('SIGTERM');
      await server?.exit();
    });
    const { endpoint } = await start();
    expect(endpoint).toBe(`http://127.0.0.1:${socket.port}`);
    const { load, check } = await pushOn(endpoint);
    for (let restart = 0; restart < 2; restart++) {
      await moreRequests(load, 100);
      server?.child.kill('SIGTERM');
      expect(await server?.exit(startMsMax)).toMatchObject({ code: 0 });
      await start();
    }
    await moreRequests(load, 100);
    await check();
  });
});

describe('SIGUSR2', () => {
  test('replaces what serves by what is installed, and no request fails', { timeout: 300_000 }, async () => {
    const server = await serve(built.folder, settings('reload'));
    onTestFinished(async () => {
      server.child.kill('SIGTERM');
      await server.exit();
    });
    const { load, check } = await pushOn(server.endpoint);
    for (const version of ['9.0.1', '9.0.2']) {
      await moreRequests(load, 100);
      await installVersion(version);
      const old = servingPids(server);
      server.child.kill('SIGUSR2');
      await expect.poll(() => versionAt(server.endpoint), { timeout: startMsMax, interval: 200 }).toBe(version);
      // The clients' connections go over to the new one with their next request, and then the old one ends.
      await expect.poll(() => servingPids(server).filter((pid) => old.includes(pid)), { timeout: 30_000 }).toEqual([]);
    }

    // A build that does not start.
    const path = join(built.folder, 'dist/process/server.js');
    const good = await readFile(path, 'utf8');
    await writeFile(path, `throw new Error('a bad build');\n`);
    const before = servingPids(server);
    server.child.kill('SIGUSR2');
    await expect.poll(() => server.stderr(), { timeout: startMsMax }).toContain('"not reloaded');
    expect(servingPids(server)).toEqual(before);
    await writeFile(path, good);

    // Many at once.
    await moreRequests(load, 100);
    for (let i = 0; i < 10; i++) {
      server.child.kill('SIGUSR2');
      await sleep(30);
    }
    const reloads = () => server.stderr().split('"reloaded"').length - 1;
    await expect.poll(reloads, { timeout: startMsMax }).toBeGreaterThanOrEqual(4);
    await moreRequests(load, 100);
    await expect.poll(() => servingPids(server).length, { timeout: startMsMax }).toBe(1);
    await check();
  });

  test('ends event streams in order, and who comes back is told what it has missed', { timeout: 120_000 }, async () => {
    const server = await serve(built.folder, settings('reload-live'));
    onTestFinished(async () => {
      server.child.kill('SIGTERM');
      await server.exit();
    });
    const { json } = await post(server.endpoint, '/metrology/stream/initialize', { points_per_chunk: 1 });
    const push = (index: number) => post(server.endpoint, '/metrology/stream/chunk', chunk(json.data_id, index));
    const counts = (count: number) => (events: LiveEvent[]) =>
      events.find(({ data }) => data.channels?.[0]?.chunk_count === count);
    const path = `/metrology/${json.data_id}/live`;
    const port = Number(new URL(server.endpoint).port);
    const followers = await Promise.all(Array.from({ length: 20 }, () => follow(port, path, key)));
    onTestFinished(() => {
      for (const one of followers) one.leave();
    });
    await push(0);
    for (const one of followers) await one.until(counts(1));
    const old = servingPids(server);
    server.child.kill('SIGUSR2');
    for (const one of followers) {
      expect(await one.ended(startMsMax)).toBe(true);
      expect(one.text()).toMatch(/retry: 2000\n\n$/);
    }
    // The kept connection of this test goes over with its next request; nobody who follows holds the old process up.
    await push(1);
    await expect.poll(() => servingPids(server).filter((pid) => old.includes(pid)), { timeout: 30_000 }).toEqual([]);
    for (const [i, one] of followers.entries()) {
      followers[i] = await follow(port, path, key, { 'last-event-id': one.events.at(-1)?.id as string });
    }
    for (const one of followers) expect((await one.until(counts(2))).data.channels[0].span).toEqual([0, 1_000]);
    await push(2);
    for (const one of followers) await one.until(counts(3));
  });

  test('a stop while processes hand over ends them all, soon', { timeout: 120_000 }, async () => {
    const server = await serve(built.folder, settings('reload-stop'));
    // A connection that is kept and never used again would hold the old process for two minutes.
    const { load } = await pushOn(server.endpoint);
    await moreRequests(load, 20);
    server.child.kill('SIGUSR2');
    await expect.poll(() => server.stderr(), { timeout: startMsMax }).toContain('"reloaded"');
    const pids = servingPids(server);
    server.child.kill('SIGTERM');
    expect(await server.exit(30_000)).toMatchObject({ code: 0 });
    expect(pids.filter((pid) => servingPids({ child: { pid } as never }).length > 0)).toEqual([]);
    await load.stop();
  });
});

test('a process that serves and is killed is replaced, and no connection is refused', {
  timeout: 120_000,
}, async () => {
  const server = await serve(built.folder, settings('killed'));
  onTestFinished(async () => {
    server.child.kill('SIGTERM');
    await server.exit();
  });
  const [victim] = servingPids(server);
  process.kill(victim as number, 'SIGKILL');
  const statuses = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      await sleep(i * 20);
      const answer = await fetch(`${server.endpoint}/healthz`, { headers: { connection: 'close' } });
      return answer.status;
    }).map((one) => one.catch((error: Error) => String(error.cause))),
  );
  // What the killed one had accepted already is lost with it.
  expect(statuses.filter((status) => typeof status === 'string' && !/ECONNRESET|closed/.test(status))).toEqual([]);
  expect(statuses.filter((status) => status === 200).length).toBeGreaterThan(15);
});
