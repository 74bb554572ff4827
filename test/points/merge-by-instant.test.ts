import fc from 'fast-check';
import { expect, test } from 'vitest';
import { freely } from '../../src/lib/reading.ts';
import { createChunkPlan } from '../../src/points/chunk-plan.ts';
import { pointLimits } from '../../src/points/limits.ts';
import { readInOrder } from '../../src/points/merge.ts';
import type { ChunkPoints } from '../../src/points/points.ts';
import { byInstant } from '../../src/points/selection.ts';
import { wholeRange } from '../../src/points/time.ts';

type Point = [time: number, value: number];

/** A source of the chunks, and how many points were fetched from it. */
async function sourceOf(chunks: Point[][]) {
  const plan = createChunkPlan();
  const stored = chunks.map((points, chunkIndex): ChunkPoints => {
    const times = points.map(([time]) => time);
    const possible = times.filter((time) => Math.abs(time) <= 8.64e12);
    if (possible.length > 0) plan.add(chunkIndex, points.length, Math.min(...possible), Math.max(...possible));
    return {
      chunkIndex,
      times: Float64Array.from(times),
      values: Float64Array.from(points, ([, value]) => value),
    };
  });
  let fetched = 0;
  return {
    plan: await plan.byTime(freely.rest),
    rest: freely.rest,
    async fetch(chunkIndexes: readonly number[]) {
      const page = chunkIndexes.map((index) => stored[index] as ChunkPoints);
      fetched += page.reduce((sum, chunk) => sum + chunk.values.length, 0);
      return page;
    },
    fetched: () => fetched,
  };
}

async function read(
  source: Awaited<ReturnType<typeof sourceOf>>,
  bounds: { pagePointsMax: number; bufferPointsMax: number },
) {
  const points: Point[] = [];
  let longest = 0;
  const all = { ...wholeRange, withValues: true };
  for await (const { times, values } of readInOrder(source, all, byInstant, { ...pointLimits, ...bounds })) {
    longest = Math.max(longest, times.length);
    times.forEach((time, i) => {
      points.push([time, values[i] as number]);
    });
  }
  return { points, longest };
}

/** All points by time, of those at one time the last. */
function sorted(chunks: Point[][]): Point[] {
  const byTime = new Map(chunks.flat().filter(([time]) => Math.abs(time) <= 8.64e12));
  return [...byTime].sort(([a], [b]) => a - b);
}

test('whatever the chunks are, they come out as if all points had been sorted at once', async () => {
  const time = fc.oneof(
    fc.integer({ min: 0, max: 30 }),
    fc.double({ min: 0, max: 30, noNaN: true }),
    fc.double({ min: 5, max: 5.002, noNaN: true }),
    fc.constantFrom(Number.NaN, 1e300, -1e300, -8.64e12, 8.64e12),
  );
  const value = fc.integer({ min: 0, max: 1e6 });
  const chunk = fc.array(fc.tuple(time, value), { minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(chunk, { maxLength: 25 }),
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 60 }),
      async (chunks, pagePointsMax, bufferPointsMax) => {
        const { points } = await read(await sourceOf(chunks), { pagePointsMax, bufferPointsMax });
        // −0 and 0 are one time.
        const plain = (list: Point[]) => list.map(([at, reading]) => [at + 0, reading]);
        expect(plain(points)).toEqual(plain(sorted(chunks)));
      },
    ),
    { numRuns: 400 },
  );
});

test('chunks in order are fetched once', async () => {
  const chunks = Array.from({ length: 50 }, (_, k) =>
    Array.from({ length: 10 }, (_, i): Point => [k * 10 + i, k * 10 + i]),
  );
  const source = await sourceOf(chunks);
  const { points, longest } = await read(source, { pagePointsMax: 40, bufferPointsMax: 1_000 });
  expect(points).toEqual(chunks.flat());
  expect(source.fetched()).toBe(500);
  expect(longest).toBeLessThanOrEqual(50);
});

test('a chunk over the whole run is fetched again for each slice, not for each chunk', async () => {
  const small = Array.from({ length: 200 }, (_, k): Point[] => [[k + 0.5, k]]);
  const long = Array.from({ length: 100 }, (_, i): Point => [i * 2, i]);
  const source = await sourceOf([long, ...small]);
  const { points } = await read(source, { pagePointsMax: 50, bufferPointsMax: 1_000 });
  expect(points).toEqual(sorted([long, ...small]));
  expect(source.fetched()).toBeLessThanOrEqual(200 + 6 * 100);
});

test('chunks over the same time never wait in numbers', async () => {
  const chunks = Array.from({ length: 100 }, (_, k) => Array.from({ length: 50 }, (_, i): Point => [i + k / 100, k]));
  const { points, longest } = await read(await sourceOf(chunks), { pagePointsMax: 100, bufferPointsMax: 400 });
  expect(points).toEqual(sorted(chunks));
  expect(longest).toBeLessThanOrEqual(500);
});
