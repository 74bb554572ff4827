import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createIdentities } from '../../src/auth/identities.ts';
import type { Identity } from '../../src/auth/identity.ts';
import { authLimits } from '../../src/auth/limits.ts';

const ada: Identity = { organizationId: 'lab', userId: 'ada', keyId: 1, scopes: ['read'] };
const away = new Error('database away');

function harness(given: Partial<typeof authLimits & { keyCacheEntriesMax: number }> = {}) {
  const looked: string[][] = [];
  const clock = { ms: 0 };
  const stored = new Map<string, Identity>([['key', ada]]);
  const database: { failure?: Error; hangs?: Promise<void> } = {};
  const identities = createIdentities({
    limits: { ...authLimits, keyCacheMsMax: 5_000, keyCacheEntriesMax: 10, lookUpRetryMs: 10, ...given },
    now: () => clock.ms,
    isPassing: (error) => error === away,
    findAll: async (keys) => {
      looked.push(keys);
      await database.hangs;
      if (database.failure) throw database.failure;
      return keys.map((key) => stored.get(key));
    },
  });
  return { identityOf: identities.of, organizationOf: identities.organizationOf, looked, clock, stored, database };
}

test('a key is looked up once, also by many requests at once, until its time is over', async () => {
  const { identityOf, looked, clock, stored } = harness();
  expect(await Promise.all([identityOf('key'), identityOf('key'), identityOf('key')])).toEqual([ada, ada, ada]);
  clock.ms = 4_999;
  stored.delete('key');
  expect(await identityOf('key')).toEqual(ada);
  expect(looked).toEqual([['key']]);
  clock.ms = 5_000;
  expect(await identityOf('key')).toBeUndefined();
  expect(looked).toEqual([['key'], ['key']]);
});

test('what is unknown, or has failed for good, is looked up again at once', async () => {
  const { identityOf, stored, database } = harness();
  expect(await identityOf('new')).toBeUndefined();
  stored.set('new', ada);
  expect(await identityOf('new')).toEqual(ada);
  database.failure = new Error('no such table');
  await expect(identityOf('odd')).rejects.toThrow('no such table');
  delete database.failure;
  stored.set('odd', ada);
  expect(await identityOf('odd')).toEqual(ada);
});

test('only so many keys are remembered', async () => {
  const { identityOf, looked, stored } = harness({ keyCacheEntriesMax: 2 });
  for (const key of ['a', 'b', 'c', 'c', 'b', 'a']) {
    stored.set(key, ada);
    await identityOf(key);
  }
  expect(looked.flat()).toEqual(['a', 'b', 'c', 'a']);
});

test('unknown keys push out no known one', async () => {
  const { identityOf, organizationOf, looked } = harness({ keyCacheEntriesMax: 2 });
  await identityOf('key');
  await Promise.all(Array.from({ length: 5_000 }, (_, i) => identityOf(`nobody's ${i}`)));
  const before = looked.length;
  expect(await identityOf('key')).toEqual(ada);
  expect(looked).toHaveLength(before);
  expect(organizationOf('key')).toBe(ada.organizationId);
  expect(organizationOf(`nobody's 1`)).toBeUndefined();
});

test('a flood of unknown keys is looked up lookUpKeysMax at a time, one statement after the other, known keys first', async () => {
  const { identityOf, looked, clock } = harness({ lookUpKeysMax: 100 });
  await identityOf('key');
  clock.ms = 5_000;
  const flood = Array.from({ length: 1_000 }, (_, i) => identityOf(`nobody's ${i}`));
  expect(await identityOf('key')).toEqual(ada);
  await Promise.all(flood);
  expect(Math.max(...looked.map((keys) => keys.length))).toBe(100);
  expect(looked.flat()).toHaveLength(1_002);
  // All that came with it is looked up together, and of that it is the first.
  expect(looked[1]?.[0]).toBe('key');
});

test('while the database is away a known key opens for keyOutageMsMax, and is refused once it is answered revoked', async () => {
  const { identityOf, clock, database, stored } = harness({ keyOutageMsMax: 60_000, strangerWaitMsMax: 50 });
  await identityOf('key');
  database.failure = away;
  clock.ms = 59_000;
  expect(await identityOf('key')).toEqual(ada);
  clock.ms = 65_000;
  await expect(identityOf('key')).rejects.toThrow('50 ms (strangerWaitMsMax)');
  delete database.failure;
  stored.delete('key');
  expect(await identityOf('key')).toBeUndefined();
});

test('a database that does not answer holds up a known key for keyRenewMsMax, and once in keyCacheMsMax', async () => {
  const { identityOf, clock, database, stored } = harness({ keyRenewMsMax: 100 });
  await identityOf('key');
  clock.ms = 5_000;
  let answer = () => {};
  database.hangs = new Promise((resolve) => {
    answer = resolve;
  });
  const startedAt = performance.now();
  expect(await identityOf('key')).toEqual(ada);
  expect(performance.now() - startedAt).toBeGreaterThan(90);
  const again = performance.now();
  expect(await identityOf('key')).toEqual(ada);
  expect(performance.now() - again).toBeLessThan(90);
  // What is answered late counts at once.
  stored.delete('key');
  answer();
  await sleep(20);
  expect(await identityOf('key')).toBeUndefined();
});

test('a key that is not known waits while the database is away, and is answered when it is back', async () => {
  const { identityOf, database } = harness();
  database.failure = away;
  const found = identityOf('key');
  await sleep(50);
  delete database.failure;
  expect(await found).toEqual(ada);
});
