/**
 * How long after a `kill -9` the first chunk is acknowledged. The server has its embedded PostgreSQL, which has stored
 * chunks for two seconds before. All processes are killed and the server is started again at once. One client then tries
 * every 5 ms, on a new connection each time.
 *
 *   npm run bench -- --first-chunk                    # the median of 7 rounds, and each
 *   npm run bench -- --first-chunk --build FOLDER     # of another build: a folder with dist/, migrations/ and node_modules/
 *   npm run bench -- --first-chunk --serving          # only the process that serves is killed, and comes back by itself
 */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  cpuSeconds,
  freePort,
  nodeFlags,
  nodePrograms,
  type Running,
  residentBytes,
  startProcess,
  untilReady,
} from './support/processes.ts';

const { values } = parseArgs({
  options: {
    'first-chunk': { type: 'boolean' },
    build: { type: 'string', default: fileURLToPath(new URL('..', import.meta.url)) },
    rounds: { type: 'string', default: '7' },
    serving: { type: 'boolean', default: false },
  },
});
const key = 'a-key-for-the-first-chunk';
const headers = { 'x-api-key': key, 'content-type': 'application/json' };
const folder = await mkdtemp(join(tmpdir(), 'metrology-first-chunk-'));
const port = await freePort();
const endpoint = `http://127.0.0.1:${port}`;
const settings = { PORT: String(port), DATA_DIR: folder, BOOTSTRAP_API_KEY: key, LOG_LEVEL: 'error' };
// start.mjs compiles it into src; a package has it in dist.
const program = [join(values.build, 'dist/main.js'), join(values.build, 'src/main.js')];

const start = (): Running =>
  startProcess(process.execPath, [...nodeFlags, program.find((path) => existsSync(path)) as string], settings);

async function post(path: string, body: unknown): Promise<{ status: number; json: Record<string, unknown> }> {
  const closing = { ...headers, connection: 'close' };
  const answer = await fetch(endpoint + path, { method: 'POST', headers: closing, body: JSON.stringify(body) });
  return { status: answer.status, json: (await answer.json()) as Record<string, unknown> };
}

let index = 0;
const nextChunk = (dataId: unknown) => ({
  data_id: dataId,
  chunk_index: index++,
  channel_name: 'p',
  timestamps: Array.from({ length: 100 }, (_, i) => 1_700_000_000 + index * 100 + i),
  values: Array.from({ length: 100 }, () => Math.random()),
});

async function untilAcknowledged(dataId: unknown): Promise<number> {
  const startedAt = performance.now();
  for (;;) {
    const status = await post('/tool-state/stream/chunk', nextChunk(dataId)).then(
      (one) => one.status,
      () => 0,
    );
    if (status === 201) return performance.now() - startedAt;
    await sleep(5);
  }
}

async function load(dataId: unknown, msMax: number): Promise<void> {
  const until = performance.now() + msMax;
  const writers = Array.from({ length: 16 }, async () => {
    while (performance.now() < until) await post('/tool-state/stream/chunk', nextChunk(dataId));
  });
  await Promise.all(writers);
}

let server = start();
try {
  await untilReady(server, `${endpoint}/readyz`);
  const { json } = await post('/tool-state/stream/initialize', { points_per_chunk: 100 });
  const rounds: number[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    await load(json.data_id, 2_000);
    const before = cpuSeconds(server.pid).node ?? 0;
    if (round === 0)
      console.log(
        `resident ${Math.round(residentBytes(server.pid) / 1024 ** 2)} MB in ${nodePrograms(server.pid).length} processes, ${before} s of processor`,
      );
    if (values.serving) process.kill(nodePrograms(server.pid)[1] as number, 'SIGKILL');
    else {
      for (const pid of nodePrograms(server.pid)) process.kill(pid, 'SIGKILL');
      server = start();
    }
    rounds.push(Math.round(await untilAcknowledged(json.data_id)));
    await untilReady(server, `${endpoint}/readyz`);
  }
  const sorted = rounds.toSorted((a, b) => a - b);
  console.log(`first chunk after ${sorted[sorted.length >> 1]} ms (median of ${rounds.join(', ')})`);
} finally {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
}
