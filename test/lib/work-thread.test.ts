import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { createWorkThread } from '../../src/lib/work-thread.ts';

/** A thread that gives back what it gets, and ends for `fail`. */
async function openThread(idleMs = 10_000) {
  const folder = await mkdtemp(join(tmpdir(), 'work-thread-'));
  const file = join(folder, 'echo.mjs');
  await writeFile(
    file,
    `import { parentPort } from 'node:worker_threads';
     parentPort.on('message', (task) => {
       if (task === 'fail') throw new Error('failed');
       parentPort.postMessage(task);
     });`,
  );
  const thread = createWorkThread<string, string>({ file: pathToFileURL(file), workerData: {}, idleMs });
  onTestFinished(async () => {
    await thread.close();
    await rm(folder, { recursive: true });
  });
  return thread;
}

test('tasks of many owners are done in turn, so that nobody waits behind all of another one', async () => {
  const thread = await openThread();
  const order: string[] = [];
  const ask = (owner: string, name: string) => thread.run(owner, name, []).then((result) => order.push(result));
  const many = ['a1', 'a2', 'a3', 'a4'].map((name) => ask('a', name));
  await Promise.all([...many, ask('b', 'b1'), ask('b', 'b2'), ask('c', 'c1')]);
  expect(order.join(' ')).toBe('a1 a2 b1 c1 a3 b2 a4');
});

test('a task that ends the thread fails alone; those behind it go on in a new one', async () => {
  const thread = await openThread();
  const results = await Promise.allSettled(['1', 'fail', '2'].map((task) => thread.run('a', task, [])));
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
});

test('when it is closed, the task that runs and all that wait fail', async () => {
  const thread = await openThread();
  const asked = ['1', '2', '3'].map((task, i) => thread.run(`${i}`, task, []));
  const results = Promise.allSettled(asked);
  await thread.close();
  for (const result of await results) expect(result).toMatchObject({ status: 'rejected' });
});
