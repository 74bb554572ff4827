import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { processLimits } from '../../src/process/limits.ts';
import { buildServer, isRunning, type Server, serve, servingPids } from '../support/built-server.ts';

const key = 'a-key-for-the-workers';
let built: Awaited<ReturnType<typeof buildServer>>;
let folder: string;
let server: Server;

beforeAll(async () => {
  built = await buildServer();
  folder = await mkdtemp(join(tmpdir(), 'metrology-workers-'));
  server = await serve(built.folder, { DATA_DIR: join(folder, 'data'), WORKERS: '2', BOOTSTRAP_API_KEY: key });
  // The second one follows once the first is ready.
  while (listening().length < 2) await sleep(50);
}, 90_000);
afterAll(async () => {
  server?.child.kill('SIGTERM');
  await server?.exit();
  await built?.remove();
  if (folder) await rm(folder, { recursive: true, force: true });
});

async function call(path: string, body?: unknown) {
  const answer = await fetch(`${server.endpoint}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { 'x-api-key': key, 'content-type': 'application/json', connection: 'close' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: answer.status, text: await answer.text() };
}

const listening = () => server.stderr().match(/"Server listening/g) ?? [];

const initialize = async (): Promise<string> =>
  JSON.parse((await call('/tool-state/stream/initialize', { points_per_chunk: 2 })).text).data_id;

const sendChunks = (dataId: string, count: number, value = 1) =>
  Promise.all(
    Array.from({ length: count }, (_, i) =>
      call('/tool-state/stream/chunk', {
        data_id: dataId,
        chunk_index: i,
        channel_name: 'p',
        timestamps: [i, i + 0.5],
        values: [i, value],
      }),
    ),
  );

describe.sequential('WORKERS=2', () => {
  test('two processes answer on one port; replays through both count once', async () => {
    expect(servingPids(server)).toHaveLength(2);
    const dataId = await initialize();
    const answers = (await Promise.all([1, 2, 3].map(() => sendChunks(dataId, 60)))).flat();
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
    const totals = answers.map(({ text }) => JSON.parse(text).total_points);
    expect(Math.max(...totals)).toBe(120);
  });

  test('each takes connectionsPerTurn connections in a turn of its event loop: so many descriptors has its socket', () => {
    for (const pid of servingPids(server)) {
      const folder = `/proc/${pid}/fd`;
      const counts = new Map<string, number>();
      for (const name of existsSync(folder) ? readdirSync(folder) : []) {
        const target = readlinkSync(`${folder}/${name}`);
        if (target.startsWith('socket:')) counts.set(target, (counts.get(target) ?? 0) + 1);
      }
      if (process.platform === 'linux') expect(Math.max(...counts.values())).toBe(processLimits.connectionsPerTurn);
    }
  });

  test('metrics are those of both', async () => {
    const count = async () => {
      const { text } = await call('/metrics');
      const lines = text.split('\n').filter((line) => line.startsWith('metrology_chunks_total{'));
      return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
    };
    const before = await count();
    await sendChunks(await initialize(), 80);
    expect((await count()) - before).toBe(80);
  });

  test('one that is killed is replaced, and the other one goes on', { timeout: 60_000 }, async () => {
    const [victim, other] = servingPids(server) as [number, number];
    process.kill(victim, 'SIGKILL');
    const dataId = await initialize();
    expect(new Set((await sendChunks(dataId, 20)).map(({ status }) => status))).toEqual(new Set([201]));
    await expect.poll(() => listening().length, { timeout: 50_000 }).toBe(3);
    expect(servingPids(server)).toContain(other);
    expect(servingPids(server)).toHaveLength(2);
  });

  test('SIGTERM answers what is in flight and ends every process', async () => {
    const dataId = await initialize();
    // The one that came in the place of the killed one may still be coming up: what it takes waits until it has.
    for (const { status } of await sendChunks(dataId, 60)) expect(status).toBe(201);
    const pids = servingPids(server);
    const sending = Promise.all(
      Array.from({ length: 40 }, () =>
        sendChunks(dataId, 1)
          .then(([one]) => one)
          .catch(() => undefined),
      ),
    );
    await sleep(30);
    server.child.kill('SIGTERM');
    expect(await server.exit(15_000)).toMatchObject({ code: 0 });
    // Those that were not accepted any more have failed; all that were are answered well.
    expect((await sending).filter((one) => one !== undefined && one.status !== 201)).toEqual([]);
    expect(pids.filter(isRunning)).toEqual([]);
  });
});
