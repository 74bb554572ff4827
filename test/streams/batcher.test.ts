import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { Batcher, type BatchItem, type BatchLimits } from '../../src/streams/batcher.ts';
import { TryAgain } from '../../src/streams/outcomes.ts';

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
  queueShareMax: 1_000,
  waitMsMax: 25_000,
  ingestMsMax: 27_500,
  heldRetryMs: 100,
  heldRetryMsMax: 400,
};

interface ItemOptions {
  bytes?: number;
  /** The channel of all its slices; by default each slice is of one of its own. */
  channel?: string;
  organizationId?: string;
  arrivedAt?: number;
}

/** An item that writes addresses like `a=1`: slice a, content 1. */
function item(name: string, slices = name, options: ItemOptions = {}): Item {
  const { bytes = 1, channel, organizationId = 'lab', arrivedAt = 0 } = options;
  const items = slices.split(' ').map((slice) => {
    const [address = '', content = ''] = slice.split('=');
    return { address, channel: channel ?? address, content };
  });
  return { name, organizationId, slices: items, bytes, arrivedAt };
}

type Outcome = string | Error | TryAgain;

/** A batcher whose flushes are recorded and end when the test says so. */
function harness(limits: Partial<BatchLimits> = {}) {
  const flushes: string[][] = [];
  const ends: ((results?: Outcome[] | Error) => void)[] = [];
  const clock = { ms: 0 };
  const comebacks: (() => void)[] = [];
  const batcher = new Batcher<Item, string>({
    limits: { ...roomy, ...limits },
    now: () => clock.ms,
    overload: (reason) => new Error(reason),
    inDoubt: (reason) => new Error(`in doubt: ${reason}`),
    untilBack: () => new Promise((resolve) => comebacks.push(resolve)),
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
  return { batcher, flushes, ends, clock, turn, comebacks };
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

test('a flush that takes long lets others run beside it, of other channels, as many as may', async () => {
  const { batcher, flushes, ends, clock, turn } = harness({ flushesMax: 2 });
  const submit = (name: string, channel: string) => batcher.submit(item(name, name, { channel }));
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
  // The slow one still runs, and what comes now waits for nothing but its own channel.
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
  await expect(batcher.submit(item('e'))).rejects.toThrow(
    '50 bytes are waiting, 50 of them of this organization (the most is 10',
  );
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
  const fresh = batcher.submit(item('fresh', 'fresh', { arrivedAt: 20_000 }));
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

test('close settles all that was taken, and takes what comes of requests that had begun', async () => {
  const { batcher, ends, turn } = harness({ flushRowsMax: 1 });
  const all = [batcher.submit(item('a')), batcher.submit(item('b'))];
  let closed = false;
  const closing = batcher.close().then(() => {
    closed = true;
  });
  await turn();
  ends[0]?.();
  await turn();
  expect(closed).toBe(false);
  ends[1]?.();
  await closing;
  expect(await Promise.all(all)).toEqual(['stored a', 'stored b']);
  const late = batcher.submit(item('c'));
  const again = batcher.close();
  await turn();
  ends[2]?.();
  await again;
  expect(await late).toBe('stored c');
});

test('an item that has waited too long is refused while the flush before it still hangs', async () => {
  const { batcher, flushes, ends, clock, turn } = harness({ waitMsMax: 250 });
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
  const { batcher, flushes, ends, clock, turn } = harness({ waitMsMax: 250, ingestMsMax: 300 });
  const first = batcher.submit(item('a'));
  await turn();
  clock.ms = 100;
  const at = { arrivedAt: 100 };
  const [leader, follower] = [batcher.submit(item('late', 'b=1', at)), batcher.submit(item('again', 'b=1', at))];
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

describe('while the database is away', () => {
  const away = () => new TryAgain('away', new Error('gone'));

  test('what a flush could not settle waits, in its place, and nothing else is tried until it is back', async () => {
    const { batcher, flushes, ends, turn, comebacks } = harness({ flushRowsMax: 2 });
    const all = ['a=1', 'b=1', 'a=2', 'c=1'].map((slices) => batcher.submit(item(slices, slices)));
    await turn();
    ends[0]?.([away(), away()]);
    await turn();
    all.push(batcher.submit(item('d=1', 'd=1')));
    await sleep(30);
    expect(flushes).toEqual([['a=1', 'b=1']]);
    expect(batcher.queued()).toEqual({ rows: 5, bytes: 5 });
    comebacks[0]?.();
    for (let i = 1; i < 5; i++) {
      await turn();
      ends[i]?.();
    }
    expect(await Promise.all(all)).toEqual(['a=1', 'b=1', 'a=2', 'c=1', 'd=1'].map((name) => `stored ${name}`));
    expect(flushes).toEqual([['a=1', 'b=1'], ['a=1', 'b=1'], ['a=2', 'c=1'], ['d=1']]);
  });

  test('followers wait with their leader, and one that may be stored is said to be so', async () => {
    const { batcher, ends, turn, comebacks } = harness();
    const [leader, follower] = [item('one', 'a=1'), item('two', 'a=1')];
    const all = [batcher.submit(leader), batcher.submit(follower)];
    await turn();
    ends[0]?.([new TryAgain('away', new Error('lost'), true)]);
    await turn();
    expect([leader.inDoubtSince, follower.inDoubtSince]).toEqual([0, 0]);
    comebacks[0]?.();
    await turn();
    ends[1]?.();
    expect(await Promise.all(all)).toEqual(['stored one', 'stored one, again']);
  });

  test('each is answered in time: as not stored, or in doubt', async () => {
    const { batcher, ends, clock, turn } = harness({ waitMsMax: 250 });
    const all = [batcher.submit(item('plain')), batcher.submit(item('doubtful'))];
    await turn();
    ends[0]?.([away(), new TryAgain('away', new Error('lost'), true)]);
    await turn();
    const [plain, doubtful] = [
      expect(all[0]).rejects.toThrow(/^The request has waited/),
      expect(all[1]).rejects.toThrow(/^in doubt/),
    ];
    clock.ms = 251;
    await Promise.all([plain, doubtful]);
    expect(batcher.queued()).toEqual({ rows: 0, bytes: 0 });
  });

  test('an item that was answered while its flush hung is not tried again', async () => {
    const { batcher, flushes, ends, clock, turn, comebacks } = harness({ ingestMsMax: 300 });
    const late = batcher.submit(item('late'));
    await turn();
    clock.ms = 301;
    await expect(late).rejects.toThrow('in doubt');
    ends[0]?.([new TryAgain('away', new Error('lost'), true)]);
    await turn();
    comebacks[0]?.();
    await turn();
    expect([flushes.length, batcher.queued()]).toEqual([1, { rows: 0, bytes: 0 }]);
  });

  test('close refuses what waits at once, and so does an absence that is found while closing', async () => {
    const { batcher, ends, turn } = harness();
    const waits = batcher.submit(item('waits'));
    await turn();
    ends[0]?.([away()]);
    await turn();
    const refused = expect(waits).rejects.toThrow('stopping');
    await batcher.close();
    await refused;
    await expect(batcher.submit(item('late'))).rejects.toThrow('stopping');

    const other = harness();
    const found = other.batcher.submit(item('found'));
    await other.turn();
    const closing = other.batcher.close();
    const alsoRefused = expect(found).rejects.toThrow('stopping');
    other.ends[0]?.([away()]);
    await closing;
    await alsoRefused;
  });

  test('the bounds of the queue hold meanwhile', async () => {
    const { batcher, ends, turn } = harness({ queueRowsMax: 2 });
    const waits = batcher.submit(item('a'));
    await turn();
    ends[0]?.([away()]);
    await turn();
    const also = batcher.submit(item('b'));
    await expect(batcher.submit(item('c'))).rejects.toThrow('2 chunks are waiting');
    const refused = [expect(waits).rejects.toThrow('stopping'), expect(also).rejects.toThrow('stopping')];
    await batcher.close();
    await Promise.all(refused);
  });
});

describe('a lock that somebody holds', () => {
  const held = () => new TryAgain('held', new Error('lock'));

  test('leaves its channel out of the flushes of others, until its own are tried again', async () => {
    const { batcher, flushes, ends, clock, turn } = harness({ flushesMax: 2 });
    const submit = (name: string, channel: string) => batcher.submit(item(name, name, { channel }));
    const all = [submit('h1', 'held'), submit('a1', 'a')];
    await turn();
    ends[0]?.([held(), 'stored a1']);
    await turn();
    all.push(submit('h2', 'held'), submit('a2', 'a'));
    await turn();
    expect(flushes).toEqual([['h1', 'a1'], ['a2']]);
    ends[1]?.();
    clock.ms = 100;
    await vi.waitFor(() => expect(flushes.at(-1)).toEqual(['h1', 'h2']));
    // While it tries in vain, others go on.
    all.push(submit('a3', 'a'));
    await turn();
    expect(flushes.at(-1)).toEqual(['a3']);
    ends[2]?.([held(), held()]);
    ends[3]?.();
    await turn();
    clock.ms = 250;
    await sleep(30);
    expect(flushes).toHaveLength(4);
    clock.ms = 300;
    await vi.waitFor(() => expect(flushes.at(-1)).toEqual(['h1', 'h2']));
    ends[4]?.();
    await turn();
    all.push(submit('h3', 'held'));
    await turn();
    ends[5]?.();
    expect(await Promise.all(all)).toEqual(['h1', 'a1', 'h2', 'a2', 'a3', 'h3'].map((name) => `stored ${name}`));
  });

  test('keeps the order of channels that share a request with a held one', async () => {
    const { batcher, flushes, ends, clock, turn } = harness({ flushesMax: 2 });
    const all = [batcher.submit(item('ab', 'a=1 b=1')), batcher.submit(item('c', 'c=1'))];
    await turn();
    ends[0]?.([held(), 'stored c']);
    await turn();
    all.push(batcher.submit(item('b', 'b=2')), batcher.submit(item('c2', 'c=2')));
    await turn();
    expect(flushes).toEqual([['ab', 'c'], ['c2']]);
    ends[1]?.();
    clock.ms = 100;
    await vi.waitFor(() => expect(flushes.at(-1)).toEqual(['ab']));
    ends[2]?.();
    await turn();
    expect(flushes.at(-1)).toEqual(['b']);
    ends[3]?.();
    await Promise.all(all);
  });
});

describe('organizations', () => {
  test('share a flush by rows, whoever has more waiting', async () => {
    const { batcher, flushes, ends, turn } = harness({ flushRowsMax: 4 });
    const submit = (name: string, organizationId: string) => batcher.submit(item(name, name, { organizationId }));
    const all = ['a1', 'a2', 'a3', 'a4', 'a5', 'a6'].map((name) => submit(name, 'a'));
    all.push(...['b1', 'b2'].map((name) => submit(name, 'b')), submit('c1', 'c'));
    for (let i = 0; i < 3; i++) {
      await turn();
      ends[i]?.();
    }
    await Promise.all(all);
    expect(flushes.map((names) => names.toSorted())).toEqual([
      ['a1', 'a2', 'b1', 'c1'],
      ['a3', 'a4', 'a5', 'b2'],
      ['a6'],
    ]);
  });

  test('with items as large as a flush take turns with those of small ones', async () => {
    const { batcher, flushes, ends, turn } = harness({ flushBytesMax: 100, queueBytesMax: 100_000 });
    const large = (name: string) => batcher.submit(item(name, name, { organizationId: 'a', bytes: 500 }));
    const small = (name: string) => batcher.submit(item(name, name, { organizationId: 'b', bytes: 1 }));
    const all = [large('a1'), large('a2'), large('a3'), small('b1'), small('b2')];
    for (let i = 0; i < 4; i++) {
      await turn();
      ends[i]?.();
    }
    await Promise.all(all);
    expect(flushes).toEqual([['a1'], ['b1', 'b2'], ['a2'], ['a3']]);
  });

  test('have no more waiting than a share of what is free', async () => {
    const { batcher, ends, turn } = harness({ queueRowsMax: 12, queueShareMax: 2, flushRowsMax: 100 });
    const submit = (name: string, organizationId: string) => batcher.submit(item(name, name, { organizationId }));
    const taken = Array.from({ length: 8 }, (_, i) => submit(`a${i}`, 'a'));
    await expect(submit('a8', 'a')).rejects.toThrow(
      '8 chunks are waiting, 8 of them of this organization (the most is 12',
    );
    taken.push(submit('b0', 'b'), submit('b1', 'b'), submit('c0', 'c'));
    await turn();
    ends[0]?.();
    await Promise.all(taken);
  });
});

test('what comes later for a channel does not overtake an item that does not fit', async () => {
  const { batcher, flushes, ends, turn } = harness({ flushRowsMax: 3 });
  const all = [
    batcher.submit(item('two', 'a b')),
    batcher.submit(item('wide', 'c d', { channel: 'same' })),
    batcher.submit(item('narrow', 'e', { channel: 'same' })),
  ];
  for (let i = 0; i < 2; i++) {
    await turn();
    ends[i]?.();
  }
  await Promise.all(all);
  expect(flushes).toEqual([['two'], ['wide', 'narrow']]);
});
