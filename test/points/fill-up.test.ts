import { expect, test } from 'vitest';
import { freely } from '../../src/lib/reading.ts';
import { fillUp } from '../../src/points/fill-up.ts';
import { pointLimits } from '../../src/points/limits.ts';
import { asMap, memorySource } from './support/memory-source.ts';

const none = { times: new Float64Array(0), values: new Float64Array(0) };

// Numbers at which i × (points ÷ most) is not i × points ÷ most in floating point.
test.each([
  [30, 22],
  [58, 50],
])('of %i points %i are added at even distances', async (count, most) => {
  const numbers = Array.from({ length: count }, (_, i) => i);
  const source = memorySource(asMap([{ chunk_index: 0, timestamps: numbers.map((n) => n / 1_000), values: numbers }]));
  const range = { fromMs: 0, toMs: count };
  const channel = { fetch: source.fetch, rest: freely.rest, plan: await source.plan(range) };
  const added = await fillUp(channel, range, none, { least: count / 2, most }, pointLimits);
  const expected = Array.from({ length: most }, (_, i) => Math.floor((i * count) / most));
  expect([...added.times]).toEqual(expected);
  expect([...added.values]).toEqual(expected);
});
