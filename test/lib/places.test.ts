import { expect, test } from 'vitest';
import { createPlaces } from '../../src/lib/places.ts';

test('so many run at a time; those who wait take turns by owner, and one that fails gives its place back', async () => {
  const inPlace = createPlaces(2);
  const begun: string[] = [];
  const ends: ((error?: Error) => void)[] = [];
  const start = (owner: string) =>
    inPlace(owner, () => {
      begun.push(owner);
      return new Promise<void>((resolve, reject) => ends.push((error) => (error ? reject(error) : resolve())));
    });
  const all = ['a', 'a', 'a', 'a', 'b'].map(start);
  expect(begun).toEqual(['a', 'a']);
  ends[0]?.(new Error('no'));
  await expect(all[0]).rejects.toThrow('no');
  await expect.poll(() => begun).toEqual(['a', 'a', 'a']);
  ends[1]?.();
  await expect.poll(() => begun).toEqual(['a', 'a', 'a', 'b']);
  for (const end of ends) end();
  await expect.poll(() => begun.length).toBe(5);
  ends[4]?.();
  await Promise.all(all.slice(1));
});
