import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { Batcher, type BatchItem, type BatchLimits } from '../../src/streams/batcher.ts';

interface Item extends BatchItem {
  name: string;
}

const roomy: BatchLimits = {
  flushRowsMax: 100,
  flushBytesMax: 1_000,
  flushesMax: 1,
  slowFlushMs: 10,
  queueRowsMax: 1_000,
  queueBytesMax: 10_000,
  queueMsMax: 25_000,
  ingestMsMax: 27_500,
};

/** An item that writes addresses like `a=1`: slice a, content 1. */
function item(name: string, slices = name, { bytes = 1, dataId = 'stream' } = {}): Item {
  const rows = slices.split(' ').map((slice) => {
    const [address, content] = slice.split('=');
    return { address: address as string, content: content ?? '' };
  });
  return { name, dataId, rows, bytes };
}

/** A batcher whose flushes are recorded and end when the test says so. */
function harness(limits: Partial<BatchLimits> = {}) {
  const flushes: string[][] = [];
  const ends: ((results?: (string | Error)[] | Error) => void)[] = [];
  const clock = { ms: 0 };
  const batcher = new Batcher<Item, string>({
    limits: { ...roomy, ...limits },
    now: () => clock.ms,
    overload: (reason) => new Error(reason),
    inDoubt: (reason) => new Error(`in doubt: ${reason}`),
    repeat: (result) => `${result}, again`,
    flush: (items) =>
      new Promise((resolve, reject) => {
        flushes.push(items.map(({ name }) => name));
        ends.push((results) => {
          if (results instanceof Error) reject(results);
          else resolve(results ?? items.map(({ name }) => `stored ${name}`));
        });
      }),
  });
  const turn = async () => {
    for (let i = 0; i < 5; i++) await new Promise(setImmediate);
  };
  return { batcher, flushes, ends, clock, turn };
}

test('what comes while nothing runs shares the first flush; what comes meanwhile shares the next', async () => {
  const { batcher, flushes, ends, turn } = harness();
  const first = [batcher.submit(item('a')), batcher.submit(item('b'))];
  await turn();
  const second = [batcher.submit(item('c')), batcher.submit(item('d'))];
  await turn();
  expect(flushes).toEqual([['a', 'b']]);
  ends[0]?.();
  expect(await Promise.all(first)).toEqual(['stored a', 'stored b']);
  await turn();
  expect(flushes).toEqual([
    ['a', 'b'],
    ['c', 'd'],
  ]);
  ends[1]?.();
  expect(await Promise.all(second)).toEqual(['stored c', 'stored d']);
});

test('the same slice with the same content is written once and answers all', async () => {
  const { batcher, flushes, ends, turn } = harness();
  const all = ['one', 'two', 'three'].map((name) => batcher.submit(item(name, 'a=1')));
  await turn();
  expect(flushes).toEqual([['one']]);
  ends[0]?.();
  expect(await Promise.all(all)).toEqual(['stored one', 'stored one, again', 'stored one, again']);
});

test('the same slice with other content waits, and keeps its order before what comes after it', async () => {
  const { batcher, flushes, ends, turn } = harness();
  const all = [
    batcher.submit(item('first', 'a=1')),
    batcher.submit(item('second', 'a=2')),
    batcher.submit(item('like the first', 'a=1')),
    batcher.submit(item('other slice', 'b=1')),
  ];
  for (let i = 0; i < 3; i++) {
    await turn();
    ends[i]?.();
  }
  await Promise.all(all);
  expect(flushes).toEqual([['first', 'other slice'], ['second'], ['like the first']]);
});

test('an item of many slices waits whole when one of them is taken or held', async () => {
  const { batcher, flushes, ends, turn } = harness();
  const all = [
    batcher.submit(item('a', 'a=1')),
    batcher.submit(item('ab', 'a=2 b=2')),
    batcher.submit(item('b', 'b=3')),
    batcher.submit(item('part of a', 'a=1 c=1')),
  ];
  for (let i = 0; i < 4; i++) {
    await turn();
    ends[i]?.();
  }
  await Promise.all(all);
  expect(flushes).toEqual([['a'], ['ab'], ['b', 'part of a']]);
});

test('a flush is bounded in rows and in bytes; an item that is larger flushes alone', async () => {
  const { batcher, flushes, ends, turn } = harness({ flushRowsMax: 3, flushBytesMax: 100 });
  const all = [
    batcher.submit(item('a')),
    batcher.submit(item('bc', 'b c')),
    batcher.submit(item('d')),
    batcher.submit(item('heavy', 'e', { bytes: 500 })),
    batcher.submit(item('wide', 'f g h i j')),
  ];
  for (let i = 0; i < 4; i++) {
    await turn();
    ends[i]?.();
  }
  await Promise.all(all);
  expect(flushes).toEqual([['a', 'bc'], ['d'], ['heavy'], ['wide']]);
});

test('a flush that takes long lets others run beside it, of other streams, as many as may', async () => {
  const { batcher, flushes, ends, clock, turn } = harness({ flushesMax: 2 });
  const submit = (name: string, dataId: string) => batcher.submit(item(name, name, { dataId }));
  const all = [submit('a1', 'a')];
  await turn();
  all.push(submit('a2', 'a'), submit('b1', 'b'));
  await turn();
  expect(flushes).toEqual([['a1']]);
  clock.ms = 10;
  await vi.waitFor(() => expect(flushes).toEqual([['a1'], ['b1']]));
  clock.ms = 20;
  all.push(submit('c1', 'c'));
  await sleep(30);
  expect(flushes).toHaveLength(2);
  ends[1]?.();
  await turn();
  expect(flushes).toEqual([['a1'], ['b1'], ['c1']]);
  ends[2]?.();
  await turn();
  // The slow one still runs, and what comes now waits for nothing but its own stream.
  all.push(submit('d1', 'd'), submit('a3', 'a'));
  await turn();
  expect(flushes.at(-1)).toEqual(['d1']);
  ends[3]?.();
  ends[0]?.();
  await turn();
  expect(flushes.at(-1)).toEqual(['a2', 'a3']);
  ends[4]?.();
  await Promise.all(all);
});

test('each item gets its own result or its own error; a flush that throws is the error of all of it', async () => {
  const { batcher, ends, turn } = harness();
  const some = [batcher.submit(item('a')), batcher.submit(item('b'))];
  await turn();
  ends[0]?.(['fine', new Error('not found')]);
  expect(await Promise.allSettled(some)).toMatchObject([{ value: 'fine' }, { reason: new Error('not found') }]);
  const others = [batcher.submit(item('c')), batcher.submit(item('d'))];
  await turn();
  ends[1]?.(new Error('database away'));
  expect((await Promise.allSettled(others)).map((one) => one.status)).toEqual(['rejected', 'rejected']);
  const next = batcher.submit(item('e'));
  await turn();
  ends[2]?.();
  expect(await next).toBe('stored e');
});

test('the queue is bounded in rows and bytes, says so, and frees what has left', async () => {
  const { batcher, ends, turn } = harness({ queueRowsMax: 2, queueBytesMax: 10 });
  const first = batcher.submit(item('a'));
  const second = batcher.submit(item('b'));
  await expect(batcher.submit(item('c'))).rejects.toThrow('2 chunks are waiting');
  await turn();
  ends[0]?.();
  await Promise.all([first, second]);
  expect(batcher.queued()).toEqual({ rows: 0, bytes: 0 });
  const huge = batcher.submit(item('huge', 'd', { bytes: 50 }));
  await expect(batcher.submit(item('e'))).rejects.toThrow('10 bytes are waiting');
  await turn();
  ends[1]?.();
  expect(await huge).toBe('stored huge');
});

test('an item that has waited too long is refused, never stored', async () => {
  const { batcher, flushes, ends, clock, turn } = harness();
  const first = batcher.submit(item('a'));
  await turn();
  const late = batcher.submit(item('late'));
  clock.ms = 20_000;
  const fresh = batcher.submit(item('fresh'));
  const refused = expect(late).rejects.toThrow('more than 25000 ms');
  clock.ms = 25_001;
  ends[0]?.();
  await first;
  await refused;
  await turn();
  expect(flushes).toEqual([['a'], ['fresh']]);
  ends[1]?.();
  await fresh;
  expect(batcher.queued()).toEqual({ rows: 0, bytes: 0 });
});

test('close settles all that was taken and takes nothing more', async () => {
  const { batcher, ends, turn } = harness({ flushRowsMax: 1 });
  const all = [batcher.submit(item('a')), batcher.submit(item('b'))];
  let closed = false;
  const closing = batcher.close().then(() => {
    closed = true;
  });
  await expect(batcher.submit(item('c'))).rejects.toThrow('stopping');
  await turn();
  ends[0]?.();
  await turn();
  expect(closed).toBe(false);
  ends[1]?.();
  await closing;
  expect(await Promise.all(all)).toEqual(['stored a', 'stored b']);
});

test('an item that has waited too long is refused while the flush before it still hangs', async () => {
  const { batcher, flushes, ends, clock, turn } = harness({ queueMsMax: 250 });
  const hanging = batcher.submit(item('a'));
  await turn();
  const late = batcher.submit(item('late'));
  clock.ms = 251;
  await expect(late).rejects.toThrow('more than 250 ms');
  expect(batcher.queued()).toEqual({ rows: 1, bytes: 1 });
  ends[0]?.();
  expect(await hanging).toBe('stored a');
  await turn();
  expect(flushes).toEqual([['a']]);
});

test('an item whose own flush hangs is told in time that it is in doubt; it keeps its room until the flush is over', async () => {
  const { batcher, flushes, ends, clock, turn } = harness({ queueMsMax: 250, ingestMsMax: 300 });
  const first = batcher.submit(item('a'));
  await turn();
  clock.ms = 100;
  const [leader, follower] = [batcher.submit(item('late', 'b=1')), batcher.submit(item('again', 'b=1'))];
  clock.ms = 240;
  ends[0]?.();
  await first;
  await turn();
  expect(flushes).toEqual([['a'], ['late']]);
  clock.ms = 401;
  await expect(leader).rejects.toThrow('in doubt: The request was not settled within 300 ms');
  await expect(follower).rejects.toThrow('in doubt');
  expect(batcher.queued()).toEqual({ rows: 2, bytes: 2 });
  ends[1]?.();
  await turn();
  expect(batcher.queued()).toEqual({ rows: 0, bytes: 0 });
});
