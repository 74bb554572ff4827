import { expect, test } from 'vitest';
import { createIdentities } from '../../src/auth/identities.ts';
import type { Identity } from '../../src/auth/store.ts';

const ada: Identity = { organizationId: 'lab', userId: 'ada', keyId: 1, scopes: ['read'] };

function harness(entriesMax = 10) {
  const looked: string[] = [];
  const clock = { ms: 0 };
  const stored = new Map<string, Identity | Error>([['key', ada]]);
  const identityOf = createIdentities({
    keepMs: 5_000,
    entriesMax,
    now: () => clock.ms,
    find: async (key) => {
      looked.push(key);
      const found = stored.get(key);
      if (found instanceof Error) throw found;
      return found;
    },
  });
  return { identityOf, looked, clock, stored };
}

test('a key is looked up once, also by many requests at once, until its time is over', async () => {
  const { identityOf, looked, clock, stored } = harness();
  expect(await Promise.all([identityOf('key'), identityOf('key'), identityOf('key')])).toEqual([ada, ada, ada]);
  clock.ms = 4_999;
  stored.delete('key');
  expect(await identityOf('key')).toEqual(ada);
  expect(looked).toEqual(['key']);
  clock.ms = 5_000;
  expect(await identityOf('key')).toBeUndefined();
  expect(looked).toEqual(['key', 'key']);
});

test('what is unknown or has failed is looked up again at once', async () => {
  const { identityOf, stored } = harness();
  expect(await identityOf('new')).toBeUndefined();
  stored.set('new', ada);
  expect(await identityOf('new')).toEqual(ada);
  stored.set('odd', new Error('database away'));
  await expect(identityOf('odd')).rejects.toThrow('database away');
  stored.set('odd', ada);
  expect(await identityOf('odd')).toEqual(ada);
});

test('only so many keys are remembered', async () => {
  const { identityOf, looked, stored } = harness(2);
  for (const key of ['a', 'b', 'c', 'c', 'b', 'a']) {
    stored.set(key, ada);
    await identityOf(key);
  }
  expect(looked).toEqual(['a', 'b', 'c', 'a']);
});
