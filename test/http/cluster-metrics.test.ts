import cluster from 'node:cluster';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { answerMetrics } from '../../src/http/cluster-metrics.ts';

afterAll(() => {
  for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGKILL');
});

/** Waits without turning the event loop, so that what happens meanwhile is not noticed. */
const block = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

test('a worker that dies while it is asked takes nobody with it; the others are added up', async () => {
  cluster.setupPrimary({ exec: fileURLToPath(new URL('./metrics-worker.mjs', import.meta.url)), execArgv: [] });
  let dying: number | undefined;
  cluster.on('message', (_worker, { type }) => {
    if (type !== 'metrics wanted' || dying === undefined) return;
    process.kill(dying, 'SIGKILL');
    block(300);
  });
  answerMetrics();
  const workers = [cluster.fork(), cluster.fork(), cluster.fork()] as const;
  await Promise.all(workers.map((worker) => once(worker, 'listening')));
  const answer = new Promise<string>((resolve) => {
    workers[0].on('message', ({ type, text }) => type === 'answered' && resolve(text));
  });
  dying = workers[2].process.pid;
  workers[0].send({ type: 'ask' });
  expect(await answer).toMatch(/^seen 2$/m);
});
