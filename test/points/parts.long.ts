import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Selection } from '../../src/points/selection.ts';
import { asMap, memorySource, readOf } from './support/memory-source.ts';
import { type ModelChunk, modelPoints } from './support/model.ts';

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
function expectExtremes(
  points: { value: number | null }[],
  chunks: ModelChunk[],
  isInside: (point: { ms: number }) => boolean = () => true,
) {
  const stored = chunks.flatMap(({ timestamps, values }) =>
    values.filter((_, i) => timestamps[i] !== null && isInside({ ms: Math.round((timestamps[i] as number) * 1_000) })),
  );
  const readings = stored.filter((value) => value !== null);
  const shown = points.flatMap(({ value }) => (value === null ? [] : [value]));
  expect(Math.min(...shown)).toBe(Math.min(...readings));
  expect(Math.max(...shown)).toBe(Math.max(...readings));
}

/** The numbers from 0 on, so many, in an order that is always the same. */
function shuffled(count: number): number[] {
  const key = (n: number) => Math.imul(n + 1, 2_654_435_761) >>> 0;
  return Array.from({ length: count }, (_, n) => n).sort((a, b) => key(a) - key(b));
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
  'hardly a time that is not absent': at10Hz(20_000).map((time, i) => (i % 9 === 0 ? time : null)),
  'one point in 1970 and one in 2100': replaced(at10Hz(20_000), [5_000, 0], [5_001, 4_102_444_800]),
  'times sent five times': Array.from({ length: 5 }, () => at10Hz(4_000)).flat(),
  'all in one ms': at10Hz(20_000).map(() => begin),
  'chunks in any order': shuffled(200).flatMap((place) => at10Hz(100, begin + place * 10)),
  'points in any order': shuffled(20_000).map((place) => begin + place / 10),
};

describe.each(Object.entries(shapes))('%s', (_, times) => {
  test.each([10, 1_000, 20_000])(
    'in chunks of %i, at least half of max_points come',
    { timeout: 60_000 },
    async (pointsPerChunk) => {
      const chunks = chunksOf(times, pointsPerChunk);
      const plain = modelPoints(chunks);
      for (const max_points of [5, 2_000]) {
        const { points } = await read(chunks, { max_points });
        expect(points.length).toBeLessThanOrEqual(max_points);
        expect(points.length).toBeGreaterThanOrEqual(Math.floor(Math.min(max_points, plain.length) / 2));
        // Where there are no more they are those of a plain read, which shows the last of each ms.
        if (plain.length > max_points) expectExtremes(points, chunks);
      }
    },
  );
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

test('a window that leaves a wrong time out shows the rest of its chunk as well as any other', async () => {
  const early = chunksOf(replaced(at10Hz(20_000), [0, 0]), 1_000);
  const late = chunksOf(replaced(at10Hz(20_000), [19_999, begin + 1_000 * day]), 1_000);
  const first = await read(early, { max_points: 400, startMs: begin * 1_000 });
  const last = await read(late, { max_points: 400, endMs: (begin + 2_000) * 1_000 });
  expect(first.points.filter(({ ms }) => ms < (begin + 100) * 1_000).length).toBeGreaterThanOrEqual(18);
  expect(last.points.filter(({ ms }) => ms >= (begin + 1_900) * 1_000).length).toBeGreaterThanOrEqual(18);
});

test('a window that cuts chunks is spread over evenly', async () => {
  const times = at10Hz(20_000);
  for (const [from, to] of [
    [950, 19_050],
    [990, 12_345],
    [1_500, 2_500],
    [3_100, 3_900],
  ] as const) {
    const window = { startMs: (begin + from / 10) * 1_000, endMs: (begin + to / 10) * 1_000 };
    const { points } = await read(chunksOf(times, 1_000), { max_points: 100, ...window });
    const places = points.map(({ ms }) => Math.round((ms / 1_000 - begin) * 10));
    expect(places.length).toBeGreaterThan(90);
    const steps = [...places, to].map((place, i) => place - (places[i - 1] ?? from));
    expect(Math.max(...steps)).toBeLessThanOrEqual(((to - from) / 50) * 2.5);
  }
});

test('every spike is shown', async () => {
  const isSpike = (n: number) => n % 97 === 50;
  for (const pointsPerChunk of [10, 1_000, 20_000]) {
    const chunks = chunksOf(at10Hz(20_000), pointsPerChunk).map((chunk) => ({
      ...chunk,
      values: chunk.values.map((value, i) => (isSpike(chunk.chunk_index * pointsPerChunk + i) ? 50 : value)),
    }));
    // Parts of 20 points.
    const { points } = await read(chunks, { max_points: 2_000 });
    const spikes = points.filter(({ value }) => value === 50).map(({ ms }) => Math.round((ms / 1_000 - begin) * 10));
    expect(spikes).toEqual(Array.from({ length: 20_000 }, (_, n) => n).filter((n) => isSpike(n) && n !== 10_000));
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

test('a gap in a chunk of another time is one null, and takes no room of others', async () => {
  const late = chunksOf(replaced(at10Hz(20_000), [150, begin + 1_000 * day]), 100);
  const { points } = await read(
    late.filter(({ chunk_index }) => chunk_index !== 100),
    { max_points: 1_000 },
  );
  expect(points.length).toBeGreaterThanOrEqual(990);
  expect(points.length).toBeLessThanOrEqual(1_000);
  expect(points.filter(({ value }) => value === null)).toHaveLength(1);
});

test('where all points lie in a gap there are not more than may be, nulls included', async () => {
  // The clock was set back by the whole length of the first half, and the chunk between is missing.
  const chunks = chunksOf([...at10Hz(10_000), ...at10Hz(10_000, begin + 0.05)], 100);
  const { points } = await read(
    chunks.filter(({ chunk_index }) => chunk_index !== 99 && chunk_index !== 100),
    { max_points: 1_000 },
  );
  expect(points.length).toBeLessThanOrEqual(1_000);
  expect(points.length).toBeGreaterThanOrEqual(500);
});

test('where every chunk is stored many times, points that are no extremes are added, evenly', async () => {
  const copies = Array.from({ length: 20 }, () => at10Hz(1_000)).flat();
  const chunks = chunksOf(copies, 1_000).map((chunk) => ({ ...chunk, values: chunk.values.map((_, i) => i % 700) }));
  for (const max_points of [500, 501]) {
    const { points } = await read(chunks, { max_points });
    expect(points.length).toBeGreaterThanOrEqual(250);
    expect(points.length).toBeLessThanOrEqual(max_points);
    expectExtremes(points, chunks);
    const steps = points.map(({ ms }, i) => ms - (points[i - 1]?.ms ?? begin * 1_000));
    expect(Math.max(...steps)).toBeLessThanOrEqual(1_000);
  }
});

test('arrays of short chunks are not fetched, those of long ones only once however their times lie', async () => {
  const many = await read(chunksOf(at10Hz(20_000), 10), { max_points: 100 });
  expect(many.fetched).toBe(0);
  const interleaved = Array.from({ length: 20_000 }, (_, i) => begin + (i % 1_000) * 2 + Math.floor(i / 1_000) / 10);
  for (const times of [at10Hz(20_000), shapes['one point in the far future'], interleaved]) {
    // The helper reads the points and then their times.
    const long = await read(chunksOf(times as number[], 1_000), { max_points: 2_000 });
    expect(long.fetched).toBe(20_000);
  }
});

test('any channel in any order shows at least half, with its extremes and its gaps', { timeout: 120_000 }, async () => {
  const time = fc.oneof(
    { weight: 20, arbitrary: fc.integer({ min: 0, max: 4_000 }).map((ms) => begin + ms / 1_000) },
    { weight: 3, arbitrary: fc.integer({ min: 0, max: 40 }).map((ms) => begin + ms / 1_000) },
    { weight: 1, arbitrary: fc.constantFrom(0, begin * 1_000, -begin, begin + day) },
    { weight: 1, arbitrary: fc.constant(null) },
  );
  const value = fc.option(fc.integer({ min: -50, max: 50 }), { nil: null, freq: 6 });
  const list = fc.array(fc.tuple(time, value), { minLength: 1, maxLength: 60 });
  const order = fc.constantFrom<(points: [number | null, number | null][]) => [number | null, number | null][]>(
    (points) => points,
    (points) => points.toSorted(([a], [b]) => (a ?? 0) - (b ?? 0)),
  );
  const channel = fc
    .tuple(
      fc.uniqueArray(fc.tuple(fc.nat(20), list), { minLength: 1, maxLength: 12, selector: ([index]) => index }),
      order,
    )
    .map(([lists, inOrder]) =>
      lists.map(([chunk_index, points]): ModelChunk => {
        const stored = inOrder(points);
        return { chunk_index, timestamps: stored.map(([at]) => at), values: stored.map(([, reading]) => reading) };
      }),
    );
  const bound = fc.option(
    fc.integer({ min: -100, max: 4_100 }).map((ms) => begin * 1_000 + ms),
    { nil: undefined },
  );
  await fc.assert(
    fc.asyncProperty(channel, fc.integer({ min: 4, max: 120 }), bound, bound, async (chunks, max_points, from, to) => {
      const [startMs = Number.NEGATIVE_INFINITY, endMs = Number.POSITIVE_INFINITY] = [from, to];
      const isInside = ({ ms }: { ms: number }) => ms >= startMs && ms <= endMs;
      const plain = modelPoints(chunks).filter(isInside);
      const { points } = await read(chunks, { max_points, startMs, endMs });
      expect(points.length).toBeLessThanOrEqual(max_points);
      expect(points.length).toBeGreaterThanOrEqual(Math.floor(Math.min(max_points, plain.length) / 2));
      expect(points.every((point, i) => isInside(point) && (i === 0 || point.ms > (points[i - 1]?.ms as number)))).toBe(
        true,
      );
      const shown = new Set(points.map(({ ms, value }) => `${ms} ${value}`));
      if (plain.every(({ ms, value }) => shown.has(`${ms} ${value}`))) return;
      expectExtremes(points, chunks, isInside);
    }),
    { numRuns: 1_500 },
  );
});
