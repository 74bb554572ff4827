import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { stallOf, startWitness } from './bounds/support/witness.ts';

/* Whether the witness of test/bounds tells what a server does from what the machine does. */

const blockMs = 150;

// On a busy machine the main thread may wait for a processor for all of that time, which is subtracted, as it is to be.
const options = { retry: 3 };

/** @returns what the witness has seen of a server that stands still once, in ms */
async function stallWhile(how: string, meanwhile: (pids: number[]) => Promise<void> = async () => {}) {
  const file = fileURLToPath(new URL('./bounds/support/watched-server.mjs', import.meta.url));
  const folder = await mkdtemp(join(tmpdir(), 'loop-clock-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const clockFile = join(folder, 'clock');
  const clock = new URL('./bounds/support/loop-clock.mjs', import.meta.url).href;
  const env = { ...process.env, LOOP_CLOCK: clockFile };
  const server = fork(file, [how, String(blockMs)], { execArgv: ['--import', clock], env });
  onTestFinished(() => void server.kill('SIGKILL'));
  const [port] = (await once(server, 'message')) as [number];
  const witness = startWitness();
  onTestFinished(() => witness.close());
  await witness.begin({ port, pid: server.pid as number, key: 'k', clockFile });
  await sleep(300);
  server.send('now');
  await meanwhile([server.pid as number, witness.pid]);
  await sleep(400);
  return stallOf(await witness.end());
}

test('a server whose main thread works for 150 ms is seen', options, async () => {
  const stallMs = await stallWhile('work');
  // It is asked every 50 ms.
  expect(stallMs).toBeGreaterThan(blockMs - 60);
});

test('so is one whose main thread waits for 150 ms without working', options, async () => {
  expect(await stallWhile('wait')).toBeGreaterThan(blockMs / 3);
});

test('a machine that stands still for both of them is not held against the server', options, async () => {
  const stopMs = 400;
  const stallMs = await stallWhile('nothing', async (pids) => {
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    await sleep(stopMs);
    for (const pid of pids) process.kill(pid, 'SIGCONT');
  });
  expect(stallMs).toBeLessThan(stopMs / 2);
});
