import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Holes } from '../../src/ledger/holes.ts';
import { isMissing, usualCountsOf } from '../../src/lib/habits.ts';
import { pointLimits } from '../../src/points/limits.ts';

function holesOf(indexes: number[], limits = pointLimits) {
  const holes = new Holes(limits);
  for (const index of indexes) holes.add(index);
  holes.finish();
  const ranges = (view: Float64Array) =>
    Array.from({ length: view.length / 2 }, (_, i) => [...view.slice(2 * i, 2 * i + 2)]);
  return { all: ranges(holes.all.view()), missing: ranges(holes.missing.view()), ...counts(holes) };
}
const counts = ({ missingCount, skippedCount }: Holes) => ({ missingCount, skippedCount });
const missingOf = (indexes: number[]) => holesOf(indexes).missing;

const every = (step: number, count: number, first = 0) => Array.from({ length: count }, (_, i) => first + i * step);
const without = (indexes: number[], ...lost: number[]) => indexes.filter((index) => !lost.includes(index));

describe('what is missing', () => {
  test('of a channel that takes every index is all that is not there', () => {
    expect(missingOf(without(every(1, 100), 7, 40, 41, 99))).toEqual([
      [7, 7],
      [40, 41],
    ]);
    expect(missingOf(every(1, 100, 5))).toEqual([[0, 4]]);
    expect(missingOf([...every(1, 50), ...every(1, 50, 1_000)])).toEqual([[50, 999]]);
    // Two of ten at random.
    expect(missingOf(without(every(1, 30), 2, 9, 12, 17, 23, 26))).toHaveLength(6);
  });

  test('of a channel that takes every fiftieth is what is wider than that', () => {
    expect(holesOf(every(50, 40))).toMatchObject({ missing: [], missingCount: 0, skippedCount: 39 * 49 });
    expect(missingOf(without(every(50, 40), 500))).toEqual([[451, 549]]);
    // It began when others had long been there.
    expect(missingOf(every(50, 40, 37))).toEqual([]);
    expect(missingOf(every(50, 40, 237))).toEqual([[0, 236]]);
  });

  test('of a channel that logs changes is nothing', () => {
    const changes = [3, 17, 18, 90, 131, 133, 260, 262, 299, 350, 351, 402];
    expect(missingOf(changes)).toEqual([]);
    expect(holesOf(changes).skippedCount).toBe(403 - changes.length);
  });

  test('of a few chunks is all that is not there, as nothing is known of the channel', () => {
    expect(missingOf([4])).toEqual([[0, 3]]);
    expect(missingOf([0, 50])).toEqual([[1, 49]]);
    expect(missingOf([0, 50, 100, 150])).toHaveLength(3);
    expect(missingOf([0, 50, 100, 150, 200])).toHaveLength(0);
  });

  test('follows a channel that changes its habit', () => {
    const indexes = [...every(1, 100), ...every(10, 20, 100), ...every(1, 100, 300)];
    expect(missingOf(without(indexes, 50, 200, 350))).toEqual([
      [50, 50],
      [191, 209],
      [350, 350],
    ]);
  });

  test('is by limits that can be set', () => {
    const indexes = [0, 50, 100];
    expect(holesOf(indexes, { ...pointLimits, habitStepsMin: 1 }).missing).toEqual([]);
    const late = [...every(1, 3), 10, ...every(10, 8, 20)];
    expect(holesOf(late, { ...pointLimits, besideStepsMax: 2 }).missing).not.toEqual(holesOf(late).missing);
  });

  test('is by the nearest steps, whatever the channel', () => {
    const indexes = fc.uniqueArray(fc.oneof(fc.nat(40), fc.nat(400), fc.maxSafeNat()), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(indexes, (drawn) => {
        const sorted = drawn.toSorted((a, b) => a - b);
        const steps = sorted.slice(1).map((index, i) => index - (sorted[i] as number));
        const max = pointLimits.besideStepsMax;
        const expected = sorted.flatMap((index, i) => {
          const step = index - (sorted[i - 1] ?? -1);
          const beside = [...steps.slice(Math.max(0, i - 1 - max), Math.max(0, i - 1)), ...steps.slice(i, i + max)];
          return step > 1 && isMissing(step, beside, pointLimits) ? [[index - step + 1, index - 1]] : [];
        });
        const { missing, all, missingCount, skippedCount } = holesOf(sorted);
        expect(missing).toEqual(expected);
        expect(all).toHaveLength(sorted.filter((index, i) => index - (sorted[i - 1] ?? -1) > 1).length);
        expect(missingCount + skippedCount).toBe((sorted.at(-1) as number) + 1 - sorted.length);
      }),
      { numRuns: 2_000 },
    );
  });
});

test('usual numbers of points are those that many chunks have', () => {
  const usual = (...counted: [pointCount: number, chunks: number][]) => {
    const chunkCount = counted.reduce((sum, [, chunks]) => sum + chunks, 0);
    const rows = counted.map(([pointCount, chunks]) => ({ pointCount, chunks }));
    const { fewest, most } = usualCountsOf(rows, chunkCount, 100, pointLimits);
    return [fewest, most];
  };
  expect(usual()).toEqual([100, 100]);
  expect(usual([40, 1])).toEqual([100, 100]);
  expect(usual([100, 3], [40, 1])).toEqual([100, 100]);
  expect(usual([10, 3])).toEqual([10, 10]);
  expect(usual([10, 900], [9, 60], [1, 1])).toEqual([10, 10]);
  // A clock of its own: now ten, now eleven in ten seconds.
  expect(usual([10, 700], [11, 300], [3, 1])).toEqual([10, 11]);
  expect(usual(...Array.from({ length: 50 }, (_, i): [number, number] => [i + 1, 4]))).toEqual([100, 100]);
});
