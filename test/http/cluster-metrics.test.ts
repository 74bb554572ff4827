import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { answerMetrics } from '../../src/http/cluster-metrics.ts';

const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
});

/** Waits without turning the event loop, so that what happens meanwhile is not noticed. */
const block = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

/** @returns once it is there */
async function start(): Promise<ChildProcess> {
  const child = fork(fileURLToPath(new URL('./support/metrics-worker.mjs', import.meta.url)), { execArgv: [] });
  children.push(child);
  await new Promise((resolve) => child.once('message', resolve));
  return child;
}

function answerOf(child: ChildProcess): Promise<string | undefined> {
  const answer = new Promise<string>((resolve) => {
    child.on('message', ({ type, text }: { type: string; text: string }) => type === 'answered' && resolve(text));
  });
  child.send({ type: 'ask' });
  return answer;
}

test('a process that dies while it is asked takes nobody with it; the others are added up', async () => {
  const all = await Promise.all([start(), start(), start()]);
  const dying = all[2]?.pid as number;
  for (const child of all) {
    child.on('message', ({ type }: { type: string }) => {
      if (type !== 'metrics wanted') return;
      process.kill(dying, 'SIGKILL');
      block(300);
    });
    answerMetrics(child, () => all);
  }
  expect(await answerOf(all[0] as ChildProcess)).toMatch(/^seen 2$/m);
});

test('one that is alone gives its own', async () => {
  const child = await start();
  answerMetrics(child, () => [child]);
  expect(await answerOf(child)).toBe(undefined);
});
