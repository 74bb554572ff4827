import fc from 'fast-check';
import { expect, test } from 'vitest';
import { firstMsElapsed, msOf } from '../../src/points/time.ts';

test('ms are rounded to the nearest, halves up', () => {
  expect([0.0005, -0.0005, 0.0015, -0.0015, 0.00049, -0.00051].map(msOf)).toEqual([1, 0, 2, -1, 0, -1]);
  expect(Object.is(msOf(-0.0004), 0)).toBe(true);
});

test('the first elapsed ms is the first whose relative time is large enough', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -1e9, max: 1e9 }),
      fc.double({ min: -1e7, max: 1e7, noNaN: true }),
      (zero, elapsed) => {
        const ms = firstMsElapsed(zero, elapsed);
        expect((ms - zero) / 1_000).toBeGreaterThanOrEqual(elapsed);
        expect((ms - 1 - zero) / 1_000).toBeLessThan(elapsed);
      },
    ),
  );
  expect(firstMsElapsed(5, 1e300)).toBe(Number.POSITIVE_INFINITY);
  expect(firstMsElapsed(5, -1e300)).toBe(Number.NEGATIVE_INFINITY);
});
