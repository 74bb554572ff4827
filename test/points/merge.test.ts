import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type PointLimits, pointLimits } from '../../src/points/limits.ts';
import { type PlannedChannel, readInOrder } from '../../src/points/merge.ts';
import { byMs } from '../../src/points/selection.ts';
import { wholeRange } from '../../src/points/time.ts';
import { newestRange } from '../../src/points/window.ts';
import { asMap, memorySource } from './support/memory-source.ts';
import { type ModelChunk, type ModelPoint, modelPoints } from './support/model.ts';

const seconds = fc.integer({ min: 0, max: 600 }).map((tenths) => tenths / 10_000);
const chunk = fc
  .array(fc.tuple(fc.option(seconds, { nil: null, freq: 8 }), fc.double({ noNaN: true })), {
    minLength: 1,
    maxLength: 9,
  })
  .map((points) => ({ timestamps: points.map(([time]) => time), values: points.map(([, value]) => value) }));
const channel = fc
  .array(chunk, { maxLength: 25 })
  .map((chunks) => chunks.map((one, chunk_index): ModelChunk => ({ chunk_index, ...one })));
const bounds = fc.record({
  pagePointsMax: fc.integer({ min: 1, max: 40 }),
  bufferPointsMax: fc.integer({ min: 2, max: 40 }),
});

/** The chunks in memory, with their plan as it is now. */
async function sourceOf(stored: Map<number, ModelChunk>, onFetch?: (points: number) => void): Promise<PlannedChannel> {
  const source = memorySource(stored, onFetch);
  return { ...source, plan: await source.plan(wholeRange) };
}

async function collect(source: PlannedChannel, limits: Partial<PointLimits>, window = {}) {
  const points: ModelPoint[] = [];
  const all = { ...wholeRange, withValues: true, ...window };
  for await (const { times, values } of readInOrder(source, all, byMs, { ...pointLimits, ...limits })) {
    times.forEach((at, i) => {
      points.push({ ms: at, value: values[i] as number });
    });
  }
  return points;
}

describe('merging', () => {
  test('gives the points of the model, however small pages and buffer are', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(channel, bounds, async (chunks, limits) => {
        expect(await collect(await sourceOf(asMap(chunks)), limits)).toEqual(modelPoints(chunks));
      }),
      { numRuns: 2_000 },
    );
  });

  test('stays ascending and free of duplicates when chunks are replaced meanwhile', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(channel, channel, bounds, fc.nat(6), async (before, after, limits, at) => {
        const stored = asMap(before);
        let fetches = 0;
        const source = await sourceOf(stored, () => {
          if (fetches++ === at) {
            for (const one of after) if (stored.has(one.chunk_index)) stored.set(one.chunk_index, one);
          }
        });
        const points = await collect(source, limits);
        points.forEach(({ ms }, i) => {
          if (i > 0) expect(ms).toBeGreaterThan((points[i - 1] as ModelPoint).ms);
        });
      }),
      { numRuns: 1_000 },
    );
  });

  test('chunks in order of time are fetched once each', async () => {
    const chunks = Array.from({ length: 100 }, (_, chunk_index) => ({
      chunk_index,
      timestamps: Array.from({ length: 10 }, (_, i) => chunk_index * 10 + i),
      values: Array.from({ length: 10 }, (_, i) => i),
    }));
    let fetched = 0;
    const source = await sourceOf(asMap(chunks), (points) => {
      fetched += points;
    });
    await collect(source, { pagePointsMax: 50, bufferPointsMax: 20 });
    expect(fetched).toBe(1_000);
    fetched = 0;
    expect(await collect(source, { pagePointsMax: 50, bufferPointsMax: 20 }, { fromMs: 990_000 })).toHaveLength(10);
    expect(fetched).toBe(10);
  });

  test('a chunk that is gone is an error, not a gap', async () => {
    const stored = asMap([{ chunk_index: 0, timestamps: [1], values: [1] }]);
    const source = await sourceOf(stored);
    const gone = { ...source, fetch: async () => [] };
    await expect(collect(gone, { pagePointsMax: 9, bufferPointsMax: 9 })).rejects.toThrow('data_id not found');
  });
});

test('the newest points of a range are those of the model, and only their chunks are read', async () => {
  const range = fc.record({
    fromMs: fc.option(fc.integer({ min: -2, max: 60 }), { nil: wholeRange.fromMs }),
    toMs: fc.option(fc.integer({ min: -2, max: 62 }), { nil: wholeRange.toMs }),
  });
  await fc.assert(
    fc.asyncProperty(channel, bounds, range, fc.integer({ min: 1, max: 40 }), async (chunks, limits, within, count) => {
      const source = memorySource(asMap(chunks));
      const newest = await newestRange(source, within, count, { ...pointLimits, ...limits });
      const points = await collect({ ...source, plan: await source.plan(newest) }, limits, newest);
      const all = modelPoints(chunks).filter(({ ms }) => ms >= within.fromMs && ms <= within.toMs);
      expect(points).toEqual(all.slice(-count));
    }),
    { numRuns: 1_000 },
  );
  let fetched = 0;
  const long = Array.from({ length: 1_000 }, (_, chunk_index) => ({
    chunk_index,
    timestamps: [chunk_index],
    values: [1],
  }));
  const source = memorySource(asMap(long), (points) => {
    fetched += points;
  });
  await newestRange(source, { ...wholeRange, toMs: 700_000 }, 5, {
    ...pointLimits,
    pagePointsMax: 9,
    bufferPointsMax: 9,
  });
  expect(fetched).toBe(5);
});
