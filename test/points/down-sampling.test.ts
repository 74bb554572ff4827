import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Selection } from '../../src/points/selection.ts';
import { asMap, memorySource, readOf } from './support/memory-source.ts';
import { type ModelChunk, type ModelPoint, modelPoints } from './support/model.ts';

const bounds = { pagePointsMax: 50, bufferPointsMax: 100 };

/** A down-sampled read of chunks in memory, and how many points it has fetched. */
async function read(chunks: ModelChunk[], selection: Selection & { max_points: number }, limits = bounds) {
  let fetched = 0;
  const source = memorySource(asMap(chunks), (points) => {
    fetched += points;
  });
  const answer = await readOf(source, selection, limits);
  return { ...answer, fetched };
}

/** Chunks of regular points, one each 10 ms from 0 on, without the chunks in `missing`. */
function regular(
  chunkCount: number,
  pointCount: number,
  valueAt: (n: number) => number | null,
  missing: number[] = [],
) {
  const chunks = Array.from({ length: chunkCount }, (_, chunk_index): ModelChunk => {
    const numbers = Array.from({ length: pointCount }, (_, i) => chunk_index * pointCount + i);
    return { chunk_index, timestamps: numbers.map((n) => n / 100), values: numbers.map(valueAt) };
  });
  return chunks.filter(({ chunk_index }) => !missing.includes(chunk_index));
}

/** Stored points at their exact times in ms, of one time the last by (chunk index, position), in order. */
function exactPoints(chunks: ModelChunk[]): ModelPoint[] {
  const byTime = new Map<number, number | null>();
  for (const { timestamps, values } of chunks.toSorted((a, b) => a.chunk_index - b.chunk_index)) {
    for (const [i, time] of timestamps.entries()) byTime.set((time as number) * 1_000, values[i] as number | null);
  }
  return [...byTime].map(([ms, value]) => ({ ms, value })).sort((a, b) => a.ms - b.ms);
}

const valuesOf = (points: ModelPoint[]) => points.map(({ value }) => value);
const readingsOf = (points: ModelPoint[]) => valuesOf(points).filter((value) => value !== null);

describe('any channel', () => {
  const value = fc.option(fc.integer({ min: -50, max: 50 }), { nil: null, freq: 5 });
  const chunkAt = (start: number, step: number) =>
    fc.array(fc.tuple(fc.integer({ min: 0, max: step * 2 }), value), { minLength: 1, maxLength: 12 }).map((points) => ({
      timestamps: points.map(([jitter], i) => (start + i * step + jitter) / 10_000),
      values: points.map(([, reading]) => reading),
    }));
  // Steps of 0.1 ms to 10 ms; most chunks follow each other in time, some come anywhere.
  const channel = fc.tuple(fc.constantFrom(1, 5, 100), fc.boolean()).chain(([step, isOrdered]) =>
    fc.uniqueArray(
      fc
        .tuple(fc.nat(30), fc.nat(300))
        .chain(([chunk_index, place]) =>
          chunkAt((isOrdered ? chunk_index : place) * 14 * step, step).map(
            (points): ModelChunk => ({ chunk_index, ...points }),
          ),
        ),
      { minLength: 1, maxLength: 20, selector: (one) => one.chunk_index },
    ),
  );
  const bound = fc.option(fc.integer({ min: -10, max: 500 }), { nil: undefined, freq: 1 });
  const selection = fc
    .record({ startMs: bound, endMs: bound, last_n: fc.option(fc.integer({ min: 1, max: 100 }), { nil: undefined }) })
    .map((one) => Object.fromEntries(Object.entries(one).filter(([, given]) => given !== undefined)) as Selection);
  const limits = fc.record({
    pagePointsMax: fc.integer({ min: 1, max: 60 }),
    bufferPointsMax: fc.integer({ min: 2, max: 60 }),
    // Every hole is a gap.
    habitStepsMin: fc.constant(Number.POSITIVE_INFINITY),
  });

  test('keeps its extremes, its bound, its order and its gaps', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        channel,
        selection,
        fc.integer({ min: 4, max: 60 }),
        limits,
        async (chunks, wanted, max, page) => {
          const { points: exact } = await read(chunks, { ...wanted, max_points: max }, page);
          // Points that share a ms have fractions of it; bounds are in whole ones.
          const points = exact.map(({ ms, value }) => ({ ms: Math.round(ms), value }));
          const { startMs = Number.NEGATIVE_INFINITY, endMs = Number.POSITIVE_INFINITY, last_n } = wanted;
          const inRange = ({ ms }: { ms: number }) => ms >= startMs && ms <= endMs;
          const plain = modelPoints(chunks)
            .filter(inRange)
            .slice(last_n === undefined ? 0 : -last_n);
          expect(points.length).toBeLessThanOrEqual(max);
          exact.forEach(({ ms }, i) => {
            if (i > 0) expect(ms).toBeGreaterThan((exact[i - 1] as ModelPoint).ms);
          });
          if (plain.length === 0) {
            expect(points).toEqual([]);
            return;
          }
          expectNoLineAcrossGaps(points, chunks);
          const [first, last] = [plain[0] as ModelPoint, plain.at(-1) as ModelPoint];
          const stored = storedPoints(chunks).filter(({ ms }) => ms >= first.ms && ms <= last.ms);
          expect(points.every(({ ms }) => ms >= first.ms && ms <= last.ms)).toBe(true);
          const shown = new Set(points.map(({ ms, value }) => `${ms} ${value}`));
          const apart = exactPoints(chunks).filter(
            (one) => Math.round(one.ms) >= first.ms && Math.round(one.ms) <= last.ms,
          );
          const isWhole = apart.every(({ ms, value }) => shown.has(`${Math.round(ms)} ${value}`));
          if (stored.length * 2 <= max) expect(isWhole).toBe(true);
          // Where one of each ms has room, points are shown at their own times, and of one time the last counts.
          const readings = readingsOf(plain.length > max ? stored : apart) as number[];
          expect(Math.min(...(readingsOf(points) as number[]))).toBeLessThanOrEqual(Math.min(...readings));
          expect(Math.max(...(readingsOf(points) as number[]))).toBeGreaterThanOrEqual(Math.max(...readings));
          for (const { ms, value } of points.filter((one) => one.value !== null)) {
            // Two extremes in one ms are shown side by side.
            const near = stored.filter((one) => one.value === value && Math.abs(one.ms - ms) <= 1);
            expect(near.length).toBeGreaterThan(0);
          }
        },
      ),
      { numRuns: 1_500 },
    );
  });

  /** Every stored point, also those that share their ms with another. */
  const storedPoints = (chunks: ModelChunk[]): ModelPoint[] =>
    chunks.flatMap(({ timestamps, values }) =>
      timestamps.map((time, i) => ({ ms: Math.round((time as number) * 1_000), value: values[i] as number | null })),
    );

  function expectNoLineAcrossGaps(points: ModelPoint[], chunks: ModelChunk[]): void {
    const sorted = chunks.toSorted((a, b) => a.chunk_index - b.chunk_index);
    for (const [i, after] of sorted.entries()) {
      const before = sorted[i - 1];
      if (before === undefined || before.chunk_index === after.chunk_index - 1) continue;
      const end = Math.max(...storedPoints([before]).map(({ ms }) => ms));
      const begin = Math.min(...storedPoints([after]).map(({ ms }) => ms));
      points.forEach((q, k) => {
        const p = points[k - 1];
        if (p === undefined || p.value === null || q.value === null || q.ms - p.ms < 2) return;
        expect(p.ms <= end && q.ms >= begin && end < begin, `a line from ${p.ms} to ${q.ms}`).toBe(false);
      });
    }
  }
});

describe('points that share ms, of which one for each has room and all have not', () => {
  const step = fc.constantFrom(0.01, 0.05, 0.1, 0.3);
  const value = fc.option(fc.integer({ min: -1_000, max: 1_000 }), { nil: null, freq: 8 });
  const channel = fc.tuple(
    step,
    fc.array(fc.array(value, { minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 12 }),
  );
  const roundedMs = ({ ms }: ModelPoint) => Math.round(ms);

  test('each part shows its extremes, at their own times', { timeout: 60_000 }, async () => {
    let crowded = 0;
    await fc.assert(
      fc.asyncProperty(channel, fc.integer({ min: 4, max: 200 }), async ([stepMs, lists], max) => {
        let n = 0;
        const chunks = lists.map((values, chunk_index): ModelChunk => {
          return { chunk_index, values, timestamps: values.map(() => 5 + (n++ * stepMs) / 1_000) };
        });
        const all = exactPoints(chunks);
        const instants = new Set(all.map(roundedMs)).size;
        if (instants > max || all.length <= max) return;
        crowded++;
        const { points } = await read(chunks, { max_points: max });
        expect(points.length).toBeLessThanOrEqual(max);
        expect(points.length).toBeGreaterThanOrEqual(Math.floor(max / 2));
        const shown = new Set(points.map(({ ms, value }) => `${ms} ${value}`));
        const stored = new Set(all.map(({ ms, value }) => `${ms} ${value}`));
        expect([...shown].filter((one) => !stored.has(one))).toEqual([]);
        const partCount = Math.floor(max / 2);
        for (let part = 0; part < partCount; part++) {
          const [from, to] = [part, part + 1].map((k) => Math.ceil((k * all.length) / partCount));
          const ofPart = all.slice(from, to);
          const readings = readingsOf(ofPart) as number[];
          const found = readingsOf(ofPart.filter(({ ms, value }) => shown.has(`${ms} ${value}`))) as number[];
          expect([Math.min(...found), Math.max(...found)]).toEqual([Math.min(...readings), Math.max(...readings)]);
        }
      }),
      { numRuns: 1_000 },
    );
    expect(crowded).toBeGreaterThan(100);
  });

  test('10 kHz for a second: each of a thousand ms shows its two', async () => {
    const numbers = Array.from({ length: 10_000 }, (_, i) => i);
    const values = numbers.map((n) => (n === 4_321 ? 1e6 : n === 7_777 ? -1e6 : Math.imul(n + 1, 2_654_435_761) >>> 8));
    const { points } = await read([{ chunk_index: 0, timestamps: numbers.map((n) => n / 10_000), values }], {
      max_points: 2_000,
    });
    expect(points).toHaveLength(2_000);
    expect(points.find((point) => point.value === 1e6)?.ms).toBeCloseTo(432.1, 6);
    expect(points.find((point) => point.value === -1e6)?.ms).toBeCloseTo(777.7, 6);
  });
});

test('every part shows the smallest and the largest of its points', async () => {
  const noise = (n: number) => Math.imul(n + 1, 2_654_435_761) >>> 8;
  const chunks = regular(50, 40, noise);
  // Four parts in each chunk, of ten points each.
  const { points } = await read(chunks, { max_points: 400 });
  const all = modelPoints(chunks);
  const expected = Array.from({ length: 200 }).flatMap((_, part) => {
    const byValue = all.slice(part * 10, part * 10 + 10).sort((a, b) => (a.value as number) - (b.value as number));
    return [byValue[0], byValue.at(-1)].sort((a, b) => (a?.ms as number) - (b?.ms as number));
  });
  expect(points).toEqual(expected);
  expect(points).toHaveLength(400);
});

// Numbers at which k × (n ÷ parts) is not k × n ÷ parts in floating point.
test.each([
  { chunkCount: 34, pointCount: 1, max_points: 28 },
  { chunkCount: 1, pointCount: 50, max_points: 44 },
])('two halves that are alike are divided alike: $chunkCount × $pointCount', async (given) => {
  const half = (given.chunkCount * given.pointCount) / 2;
  const { points } = await read(
    regular(given.chunkCount, given.pointCount, (n) => n % half),
    given,
  );
  const [first, second] = [points.filter(({ ms }) => ms < half * 10), points.filter(({ ms }) => ms >= half * 10)];
  expect(second.map(({ ms, value }) => ({ ms: ms - half * 10, value }))).toEqual(first);
});

test('arrays are read only of chunks that have more than one part or lie across an end of the window', async () => {
  const { points, fetched } = await read(
    regular(1_000, 10, (n) => n),
    { max_points: 20 },
  );
  expect(points).toHaveLength(20);
  expect(fetched).toBe(0);
  const half = await read(
    regular(1_000, 10, (n) => n),
    { max_points: 20, startMs: 25, endMs: 50_025 },
  );
  expect(half.points[0]).toEqual({ ms: 30, value: 3 });
  expect(half.points.at(-1)).toEqual({ ms: 50_020, value: 5_002 });
  expect(half.fetched).toBe(2 * 10);
});

test('a level line is shown in its whole length', async () => {
  const { points } = await read(
    regular(100, 10, () => 7),
    { max_points: 4 },
  );
  expect(points[0]).toEqual({ ms: 0, value: 7 });
  expect(points.at(-1)?.value).toBe(7);
  expect(points.at(-1)?.ms).toBeGreaterThanOrEqual(9_900);
});

test('both extremes of one ms are shown', async () => {
  const times = Array.from({ length: 400 }, (_, i) => i / 10_000 + 5);
  const values = times.map((_, i) => (i === 200 ? -9 : i === 201 ? 9 : 0));
  const { points } = await read([{ chunk_index: 0, timestamps: times, values }], { max_points: 8 });
  // They are the last ones of their part, so the ms before them is free.
  expect(points).toContainEqual({ ms: 5_019, value: -9 });
  expect(points).toContainEqual({ ms: 5_020, value: 9 });
});

test('the two ends of time leave room for what lies between', async () => {
  const times = [-8.64e12, 0, 1, 2, 3, 4, 8.64e12];
  const { points } = await read([{ chunk_index: 0, timestamps: times, values: times.map((_, i) => i) }], {
    max_points: 4,
  });
  expect(points[0]).toEqual({ ms: -8.64e15, value: 0 });
  expect(points.at(-1)).toEqual({ ms: 8.64e15, value: 6 });
  expect(points.length).toBeLessThanOrEqual(4);
});

describe('gaps', () => {
  test('a null stands in each of them, and they are listed with their times', async () => {
    const { points, gaps } = await read(
      regular(100, 10, (n) => n, [0, 40, 41, 70]),
      { max_points: 40 },
    );
    expect(gaps).toEqual([
      { fromChunk: 0, toChunk: 0, endMs: null, beginMs: 100 },
      { fromChunk: 40, toChunk: 41, endMs: 3_990, beginMs: 4_200 },
      { fromChunk: 70, toChunk: 70, endMs: 6_990, beginMs: 7_100 },
    ]);
    const nulls = points.filter(({ value }) => value === null);
    expect(nulls).toHaveLength(2);
    expect(nulls[0]?.ms).toBeGreaterThan(3_500);
    expect(nulls[0]?.ms).toBeLessThan(4_700);
    // Each gap costs the room of its null, no more.
    expect(points.length).toBeGreaterThan(30);
    expect(points.length).toBeLessThanOrEqual(40);
  });

  test('they stand between all points where these are few enough', async () => {
    const chunks = regular(4, 2, (n) => n, [2]);
    const { points } = await read(chunks, { max_points: 7 });
    expect(valuesOf(points)).toEqual([0, 1, 2, 3, null, 6, 7]);
    expect(points[4]?.ms).toBe(45);
    // One more than there is room for.
    expect((await read(chunks, { max_points: 6 })).points.length).toBeLessThanOrEqual(6);
  });

  test('those of a window are told; those outside of it are not', async () => {
    const chunks = regular(100, 10, (n) => n, [20, 50, 80]);
    const gapsIn = async (startMs: number, endMs: number) =>
      (await read(chunks, { max_points: 10, startMs, endMs })).gaps.map(({ fromChunk }) => fromChunk);
    expect(await gapsIn(3_000, 6_000)).toEqual([50]);
    expect(await gapsIn(2_050, 8_050)).toEqual([20, 50, 80]);
    expect(await gapsIn(5_020, 5_030)).toEqual([50]);
    expect(await gapsIn(5_100, 5_200)).toEqual([]);
    expect(await gapsIn(20_000, 30_000)).toEqual([]);
    expect((await read(chunks, { max_points: 10, last_n: 250 })).gaps.map(({ fromChunk }) => fromChunk)).toEqual([80]);
  });

  test('where time runs against the index they lie between the data on both sides', async () => {
    const at = (chunk_index: number, ...times: number[]) => ({ chunk_index, timestamps: times, values: times });
    const { points, gaps } = await read([at(0, 8, 9), at(2, 1, 2)], { max_points: 10 });
    expect(gaps).toEqual([{ fromChunk: 1, toChunk: 1, endMs: 2_000, beginMs: 8_000 }]);
    expect(valuesOf(points)).toEqual([1, 2, null, 8, 9]);
  });

  test('where both sides overlap no line is drawn in what they share', async () => {
    const at = (chunk_index: number, ...times: number[]) => ({ chunk_index, timestamps: times, values: times });
    const { points, gaps } = await read([at(0, 1, 2, 6), at(2, 4, 8, 9)], { max_points: 20 });
    expect(gaps).toEqual([{ fromChunk: 1, toChunk: 1, endMs: 6_000, beginMs: 4_000 }]);
    expect(valuesOf(points)).toEqual([1, 2, null, 4, null, 6, null, 8, 9]);
  });

  test.each([
    ['all', 20],
    ['some', 7],
  ])('%s points at fractions of a ms have one null in a gap, and none beside it', async (_, max_points) => {
    const at = (chunk_index: number, ...ms: number[]) => {
      return { chunk_index, timestamps: ms.map((one) => one / 1_000), values: ms };
    };
    // Chunks end and begin at 10.4 and 19.6 ms: as whole ms at 10 and 20.
    const { points } = await read([at(0, 7, 8, 8.4, 10.4), at(2, 19.6, 23, 23.4)], { max_points });
    const nullAt = points.findIndex(({ value }) => value === null);
    expect(points.filter(({ value }) => value === null)).toHaveLength(1);
    expect(points[nullAt]?.ms).toBe(15);
    expect([points[nullAt - 1]?.value, points[nullAt + 1]?.value]).toEqual([10.4, 19.6]);
  });

  test('a point that is carried in has no null behind it when the gap comes later', async () => {
    const at = (chunk_index: number, ...ms: number[]) => {
      return { chunk_index, timestamps: ms.map((one) => one / 1_000), values: ms };
    };
    const chunks = [at(0, 7, 10.3, 10.4), at(2, 20)];
    const { points } = await read(chunks, { max_points: 20, startMs: 10, carry_in: true });
    expect(valuesOf(points)).toEqual([7, 10.3, 10.4, null, 20]);
  });

  test('between two ms side by side is no room for a null; the gap is listed all the same', async () => {
    const at = (chunk_index: number, time: number) => ({ chunk_index, timestamps: [time], values: [time] });
    const { points, gaps } = await read([at(0, 0.001), at(2, 0.002)], { max_points: 20 });
    expect(valuesOf(points)).toEqual([0.001, 0.002]);
    expect(gaps).toHaveLength(1);
  });
});

describe('absent readings', () => {
  test('a run that fills a bucket is no line', async () => {
    const { points } = await read(
      regular(100, 10, (n) => (n >= 300 && n < 600 ? null : n)),
      { max_points: 20 },
    );
    const before = points.findLastIndex(({ value }) => value !== null && value < 300);
    const after = points.findIndex(({ value }) => value !== null && value >= 600);
    const between = points.slice(before + 1, after);
    expect(between.length).toBeGreaterThan(0);
    expect(readingsOf(between)).toEqual([]);
  });

  test('a channel without a reading is nulls at times that it has', async () => {
    const { points } = await read(
      regular(100, 10, () => null),
      { max_points: 10 },
    );
    expect(points.map(({ value }) => value)).toEqual([null, null, null, null, null]);
    expect(points.every(({ ms }) => ms % 10 === 0)).toBe(true);
  });
});
