import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Selection } from '../../src/points/selection.ts';
import { asMap, memorySource, readOf } from './memory-source.ts';
import { type ModelChunk, modelPoints } from './model.ts';

/*
 * However the points of a channel lie in time, a down-sampled read shows many of them.
 */

const hour = 3_600;
const begin = 1_769_846_400;

/** Chunks of so many of these times, with a spike in the middle. */
function chunksOf(times: (number | null)[], pointsPerChunk: number): ModelChunk[] {
  return Array.from({ length: Math.ceil(times.length / pointsPerChunk) }, (_, chunk_index) => {
    const from = chunk_index * pointsPerChunk;
    const timestamps = times.slice(from, from + pointsPerChunk);
    const values = timestamps.map((_, i) => (from + i === times.length >> 1 ? 1_000 : Math.sin(from + i)));
    return { chunk_index, timestamps, values };
  });
}

const at10Hz = (count: number, from = begin) => Array.from({ length: count }, (_, i) => from + i / 10);
const replaced = (times: number[], ...pairs: [number, number | null][]) => {
  const changed: (number | null)[] = [...times];
  for (const [at, time] of pairs) changed[at] = time;
  return changed;
};

async function read(chunks: ModelChunk[], selection: Selection & { max_points: number }) {
  let fetched = 0;
  const source = memorySource(asMap(chunks), (points) => {
    fetched += points;
  });
  const { points } = await readOf(source, selection);
  return { points, fetched };
}

/** Every value that a plain reading of the stored points finds smallest or largest is shown. */
function expectExtremes(points: { value: number | null }[], chunks: ModelChunk[]) {
  const stored = chunks.flatMap(({ timestamps, values }) => values.filter((_, i) => timestamps[i] !== null));
  const readings = stored.filter((value) => value !== null);
  const shown = points.flatMap(({ value }) => (value === null ? [] : [value]));
  expect(Math.min(...shown)).toBe(Math.min(...readings));
  expect(Math.max(...shown)).toBe(Math.max(...readings));
}

const day = 24 * hour;
const shapes: Record<string, (number | null)[]> = {
  'regular times': at10Hz(20_000),
  'a clock that was not set at the first point': replaced(at10Hz(20_000), [0, 0]),
  'the same in the first hundred points': at10Hz(20_000).map((time, i) => (i < 100 ? i / 10 : time)),
  'a pause of two and a half days in the middle': [...at10Hz(5_000), ...at10Hz(5_000, begin + 2.5 * day)],
  'several pauses': [0, 1, 2, 30, 31, 400].flatMap((days) => at10Hz(2_000, begin + days * day)),
  'a clock set back an hour': [...at10Hz(10_000, begin + hour), ...at10Hz(10_000, begin + 500)],
  'times sent twice': [...at10Hz(10_000), ...at10Hz(10_000)],
  'every time ten times': at10Hz(20_000).map((_, i) => begin + Math.floor(i / 10) / 10),
  'half of all points in one ms': at10Hz(20_000).map((time, i) => (i % 2 === 0 ? begin : time)),
  'half of the chunks in one ms': at10Hz(20_000).map((time, i) => (i < 10_000 ? begin : time)),
  'one point in the far future': replaced(at10Hz(20_000), [7_000, begin + 1_000 * day]),
  'one point at either end of time': replaced(at10Hz(20_000), [0, -8e12], [19_999, 8e12]),
  'a wrong time in every tenth point': at10Hz(20_000).map((time, i) => (i % 10 === 3 ? i : time)),
  'bursts with a pause after each': at10Hz(20_000).map(
    (_, i) => begin + Math.floor(i / 1_000) * hour + (i % 1_000) / 500,
  ),
  'steps that double': Array.from({ length: 4_000 }, (_, i) => begin + 1.002 ** i),
  'absent times between': at10Hz(20_000).map((time, i) => (i % 3 === 0 ? null : time)),
};

describe.each(Object.entries(shapes))('%s', (_, times) => {
  test.each([10, 1_000, 20_000])('in chunks of %i, at least half of max_points come', async (pointsPerChunk) => {
    const chunks = chunksOf(times, pointsPerChunk);
    const plain = modelPoints(chunks);
    for (const max_points of [5, 2_000]) {
      const { points } = await read(chunks, { max_points });
      expect(points.length).toBeLessThanOrEqual(max_points);
      expect(points.length).toBeGreaterThanOrEqual(Math.floor(Math.min(max_points, plain.length) / 2));
      expectExtremes(points, chunks);
    }
  });
});

test('the points that are shown are spread over all points as evenly as their number allows', async () => {
  for (const times of [shapes['regular times'], shapes['several pauses'], shapes['one point in the far future']]) {
    for (const pointsPerChunk of [10, 1_000]) {
      const chunks = chunksOf(times as number[], pointsPerChunk);
      const { points } = await read(chunks, { max_points: 400 });
      const place = new Map(modelPoints(chunks).map(({ ms }, i) => [ms, i]));
      const places = points.map(({ ms }) => place.get(ms) as number);
      const steps = places.map((one, i) => one - (places[i - 1] ?? 0));
      expect(Math.max(...steps)).toBeLessThanOrEqual((times as number[]).length / 50);
    }
  }
});

test('missing chunks leave at least half as well, with a null in each gap', async () => {
  const times = at10Hz(20_000);
  const chunks = chunksOf(times, 100).filter(({ chunk_index }) => chunk_index % 20 !== 7);
  const { points } = await read(chunks, { max_points: 1_000 });
  expect(points.length).toBeGreaterThanOrEqual(900);
  expect(points.length).toBeLessThanOrEqual(1_000);
  expect(points.filter(({ value }) => value === null)).toHaveLength(10);
});

test('of a channel of many short chunks no times are fetched, of a channel of long ones only once', async () => {
  const many = await read(chunksOf(at10Hz(20_000), 10), { max_points: 100 });
  expect(many.fetched).toBe(0);
  const long = await read(chunksOf(at10Hz(20_000), 1_000), { max_points: 2_000 });
  // The helper reads the points and then their times.
  expect(long.fetched).toBeLessThanOrEqual(3 * 20_000);
});

test('any channel in any order shows at least half', { timeout: 120_000 }, async () => {
  const time = fc.oneof(
    { weight: 20, arbitrary: fc.integer({ min: 0, max: 4_000 }).map((ms) => begin + ms / 1_000) },
    { weight: 3, arbitrary: fc.integer({ min: 0, max: 40 }).map((ms) => begin + ms / 1_000) },
    { weight: 1, arbitrary: fc.constantFrom(0, begin * 1_000, -begin, begin + day) },
    { weight: 1, arbitrary: fc.constant(null) },
  );
  const channel = fc
    .array(fc.array(time, { minLength: 1, maxLength: 60 }), { minLength: 1, maxLength: 12 })
    .map((lists) =>
      lists.map((timestamps, chunk_index): ModelChunk => {
        return { chunk_index, timestamps, values: timestamps.map((_, i) => (chunk_index * 31 + i * 17) % 101) };
      }),
    );
  await fc.assert(
    fc.asyncProperty(channel, fc.integer({ min: 4, max: 120 }), async (chunks, max_points) => {
      const plain = modelPoints(chunks);
      if (plain.length === 0) return;
      const { points } = await read(chunks, { max_points });
      expect(points.length).toBeLessThanOrEqual(max_points);
      expect(points.length).toBeGreaterThanOrEqual(Math.floor(Math.min(max_points, plain.length) / 2));
      if (plain.length > max_points) expectExtremes(points, chunks);
    }),
    { numRuns: 1_000 },
  );
});
