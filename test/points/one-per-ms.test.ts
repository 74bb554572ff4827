import fc from 'fast-check';
import { expect, test } from 'vitest';
import { freely } from '../../src/lib/reading.ts';
import { onePerMs } from '../../src/points/one-per-ms.ts';

type Point = [ms: number, value: number];

async function place(points: Point[], range = { fromMs: 0, toMs: 100 }): Promise<Point[]> {
  const times = Float64Array.from(points, ([ms]) => ms);
  const values = Float64Array.from(points, ([, value]) => value);
  const placed = await onePerMs({ times, values }, range, freely.rest);
  return Array.from(placed.times, (ms, i): Point => [ms, placed.values[i] as number]);
}

test('two values of one ms stand side by side, in whichever ms beside it is free', async () => {
  expect(
    await place([
      [5, 1],
      [5, -1],
    ]),
  ).toEqual([
    [5, -1],
    [6, 1],
  ]);
  expect(
    await place([
      [5, 1],
      [5, -1],
      [6, 0],
    ]),
  ).toEqual([
    [4, -1],
    [5, 1],
    [6, 0],
  ]);
  expect(
    await place([
      [100, 1],
      [100, -1],
    ]),
  ).toEqual([
    [99, -1],
    [100, 1],
  ]);
});

test('where there is no room the smallest and the largest stay', async () => {
  expect(
    await place([
      [4, 0],
      [5, 1],
      [5, -1],
      [6, 0],
      [6, 7],
    ]),
  ).toEqual([
    [4, 0],
    [5, -1],
    [6, 7],
  ]);
  expect(
    await place([
      [0, 1],
      [0, 9],
      [1, 2],
      [1, 3],
    ]),
  ).toEqual([
    [0, 1],
    [1, 9],
  ]);
  expect(
    await place([
      [99, 5],
      [100, 1],
      [100, -1],
    ]),
  ).toEqual([
    [99, 5],
    [100, -1],
  ]);
  expect(
    await place([
      [99, 0],
      [100, 1],
      [100, -1],
    ]),
  ).toEqual([
    [99, -1],
    [100, 1],
  ]);
});

test('an absent reading stays where its ms has no other', async () => {
  expect(
    await place([
      [7, Number.NaN],
      [3, 1],
      [3, Number.NaN],
      [3, 1],
    ]),
  ).toEqual([
    [3, 1],
    [7, Number.NaN],
  ]);
});

test('whatever comes, it is in order, inside the range, with the extremes, and moved by one ms at most', {
  timeout: 60_000,
}, async () => {
  const point = fc.tuple(
    fc.nat(20),
    fc.oneof({ weight: 8, arbitrary: fc.integer({ min: -9, max: 9 }) }, fc.constant(Number.NaN)),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(point, { minLength: 1, maxLength: 40 }), async (points) => {
      const placed = await place(points, { fromMs: 0, toMs: 20 });
      placed.forEach(([ms, value], i) => {
        expect(ms).toBeGreaterThan(i === 0 ? -1 : (placed[i - 1]?.[0] as number));
        expect(ms).toBeLessThanOrEqual(20);
        expect(points.some(([at, one]) => Math.abs(at - ms) <= 1 && Object.is(one, value))).toBe(true);
      });
      const readings = (list: Point[]) => list.map(([, value]) => value).filter((value) => !Number.isNaN(value));
      expect(Math.min(...readings(placed))).toBe(Math.min(...readings(points)));
      expect(Math.max(...readings(placed))).toBe(Math.max(...readings(points)));
    }),
    { numRuns: 1_000 },
  );
});
