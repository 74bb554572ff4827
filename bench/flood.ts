/**
 * Sends everything at once: 5,000 single chunks of 100 points, each on a socket of its own, and then
 * 100 bodies of 32 MiB. Prints statuses, time and the server's memory.
 *
 *   npm run bench -- --flood
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, nodeFlags, peakBytes, residentBytes } from './support/processes.ts';

const key = 'a-key-for-the-flood';
const folder = await mkdtemp(join(tmpdir(), 'metrology-flood-'));
const port = await freePort();
const server = spawn(process.execPath, [...nodeFlags, join(import.meta.dirname, '../src/main.js')], {
  env: {
    PATH: process.env.PATH,
    DATA_DIR: join(folder, 'data'),
    PORT: String(port),
    BOOTSTRAP_API_KEY: key,
    LOG_LEVEL: 'fatal',
  },
  stdio: ['ignore', 'ignore', 'inherit'],
});
const ended = new Promise((resolve) => server.once('exit', resolve));

interface Outcome {
  status: number | string;
  ms: number;
}

function post(path: string, body: string | Buffer): Promise<Outcome & { text: string }> {
  const startedAt = performance.now();
  return new Promise((resolve) => {
    const settle = (status: number | string, text = '') => resolve({ status, text, ms: performance.now() - startedAt });
    const headers = { 'x-api-key': key, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const agent = new Agent({ keepAlive: false });
    const sent = request({ host: '127.0.0.1', port, path, method: 'POST', agent, headers }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      answer.on('end', () => settle(answer.statusCode as number, text));
    });
    sent.on('error', (error: NodeJS.ErrnoException) => settle(error.code ?? error.message));
    sent.end(body);
  });
}

const megabytes = (bytes: number) => Math.round(bytes / 1024 ** 2);

async function flood(what: string, outcomes: Promise<Outcome[]>): Promise<void> {
  const before = megabytes(residentBytes(server.pid as number));
  const startedAt = performance.now();
  const all = await outcomes;
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
  const counts = new Map<number | string, number>();
  for (const { status } of all) counts.set(status, (counts.get(status) ?? 0) + 1);
  const slowest = (Math.max(...all.map(({ ms }) => ms)) / 1_000).toFixed(1);
  const statuses = [...counts].map(([status, count]) => `${count} × ${status}`).join(', ');
  const memory = `memory ${before} MB before, ${megabytes(peakBytes(server.pid as number))} MB at most, ${megabytes(residentBytes(server.pid as number))} MB after`;
  console.log(`${what}: ${statuses}; ${seconds} s in all, slowest ${slowest} s; ${memory}`);
}

const readings = (count: number, index: number) =>
  `"timestamps":[${Array.from({ length: count }, (_, i) => (index * count + i) / 10).join(',')}],` +
  `"values":[${Array.from({ length: count }, (_, i) => (index + i) / 7).join(',')}]`;

try {
  while ((await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined))?.status !== 200) await sleep(100);
  const opened = await post('/tool-state/stream/initialize', '{"points_per_chunk":100}');
  const dataId = (JSON.parse(opened.text) as { data_id: string }).data_id;
  const chunk = (channel: string, index: number, points: number) =>
    `{"data_id":"${dataId}","chunk_index":${index},"channel_name":"${channel}",${readings(points, index)}}`;
  const small = Array.from({ length: 5_000 }, (_, i) => chunk('small', i, 100));
  await flood(
    '5,000 chunks of 100 points at once',
    Promise.all(small.map((body) => post('/tool-state/stream/chunk', body))),
  );
  // The bodies are copies of one that differ only in their index, which is cheaper to make than 100 different ones.
  const large = Buffer.from(chunk('large', 1_000, 1_050_000));
  const at = large.indexOf('"chunk_index":1000') + '"chunk_index":'.length;
  console.log(`a large body has ${large.length} bytes`);
  const bodies = Array.from({ length: 100 }, (_, i) => {
    const head = Buffer.from(large.subarray(0, 200));
    head.write(String(1_000 + i), at);
    return Buffer.concat([head, large.subarray(200)]);
  });
  await flood('100 such bodies at once', Promise.all(bodies.map((body) => post('/tool-state/stream/chunk', body))));
  const after = await post('/tool-state/stream/chunk', chunk('after', 0, 100));
  console.log(`and after that a chunk is answered ${after.status}`);
} finally {
  server.kill('SIGTERM');
  await ended;
  await rm(folder, { recursive: true, force: true });
}
