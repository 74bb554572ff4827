import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createPacker } from '../../src/database/series-packer.ts';
import { decodeSummaries, emptySummaries, encodeSummaries } from '../../src/points/overview.ts';
import { anyRead, blocksNotMade } from './support/any-channel.ts';
import { asMap, memorySource, readOf } from './support/memory-source.ts';
import type { ModelChunk } from './support/model.ts';

const limits = { pagePointsMax: 50, seriesPagePointsMax: 50, bufferPointsMax: 100, looseChunksMax: 1_000 };

describe('a down-sampled read by an overview', () => {
  test('answers what one without answers', { timeout: 120_000 }, async () => {
    let byBlocks = 0;
    await fc.assert(
      fc.asyncProperty(
        anyRead,
        fc.integer({ min: 2, max: 4 }),
        blocksNotMade,
        async ({ chunks, selection }, fanOut, notMade) => {
          const isStored = (level: number, block: number) => !notMade.some(([l, b]) => l === level && b === block);
          const source = memorySource(asMap(chunks), () => {}, { fanOut, isStored });
          const { planWithSummaries } = source;
          let isByChunks = false;
          source.planWithSummaries = (...range) => {
            isByChunks = true;
            return planWithSummaries(...range);
          };
          const answer = await readOf(source, selection, { ...limits, overviewChunksMin: 0 });
          if (!isByChunks) byBlocks++;
          const plain = await readOf(
            memorySource(asMap(chunks), () => {}, { isStored: () => false }),
            selection,
            limits,
          );
          expect(answer).toEqual(plain);
        },
      ),
      { numRuns: 500 },
    );
    expect(byBlocks).toBeGreaterThan(80);
  });

  test('looks at few chunks of a long channel', async () => {
    const chunks = Array.from({ length: 4_096 }, (_, chunk_index): ModelChunk => {
      const numbers = Array.from({ length: 10 }, (_, i) => chunk_index * 10 + i);
      return { chunk_index, timestamps: numbers.map((n) => n / 10), values: numbers.map((n) => (n * 7_919) % 10_007) };
    });
    const source = memorySource(asMap(chunks), () => {}, { fanOut: 16 });
    let blocks = 0;
    const { listBlocks } = source.overview;
    source.overview.listBlocks = async (...asked) => {
      const found = await listBlocks(...asked);
      blocks += found.length;
      return found;
    };
    source.planWithSummaries = () => Promise.reject(new Error('planned by chunks'));
    const { points } = await readOf(source, { max_points: 20 });
    expect(points.length).toBeGreaterThan(10);
    // One of level 3, its 16, and one for each begin of ten parts.
    expect(blocks).toBeLessThan(40);
  });

  test('looks at blocks of each level where parts begin, and its plan stays short', async () => {
    const chunks = Array.from({ length: 4_096 }, (_, chunk_index): ModelChunk => {
      const timestamps = [chunk_index, chunk_index + 0.5];
      return { chunk_index, timestamps, values: timestamps.map((n) => (n * 7_919) % 10_007) };
    });
    const read = async (pageBlocksMax: number) => {
      const source = memorySource(asMap(chunks), () => {}, { fanOut: 4 });
      const looked = { opened: 0, crossed: new Map<number, number>() };
      const { listBlocks, listChildren } = source.overview;
      source.overview.listBlocks = (...asked) => {
        looked.opened++;
        return listBlocks(...asked);
      };
      source.overview.listChildren = async (level, asked) => {
        const found = await listChildren(level, asked);
        looked.crossed.set(level, Math.max(looked.crossed.get(level) ?? 0, found.length));
        looked.opened--;
        return found;
      };
      const { points } = await readOf(source, { max_points: 100 }, { overviewChunksMin: 0, pageBlocksMax });
      return { points, ...looked };
    };
    const one = await read(1_000);
    // Fifty parts begin in as many blocks of a level, or in all that there are of it.
    const { crossed, opened, points } = one;
    expect([...crossed.keys()].sort()).toEqual([1, 2, 3, 4, 5]);
    for (const [level, count] of crossed) expect(count, `level ${level}`).toBeLessThanOrEqual(50);
    expect(opened).toBeLessThanOrEqual(12);
    const other = await read(3);
    expect(Math.max(...other.crossed.values())).toBeLessThanOrEqual(3);
    expect(other.points).toEqual(points);
  });
});

describe('bounds of planning by an overview', () => {
  /** 100 chunks, of which 64 stand in a block. */
  const chunks = Array.from({ length: 100 }, (_, chunk_index): ModelChunk => {
    const numbers = Array.from({ length: 10 }, (_, i) => chunk_index * 10 + i);
    return { chunk_index, timestamps: numbers.map((n) => n / 10), values: numbers.map((n) => (n * 7_919) % 10_007) };
  });

  async function planned(bounds: { looseChunksMax: number; overviewChunksMin: number }, isStored = () => true) {
    const source = memorySource(asMap(chunks), () => {}, { isStored });
    const { planWithSummaries } = source;
    const seen = { byChunks: 0, byBlocks: 0, lacking: 0 };
    source.planWithSummaries = (...given) => {
      seen.byChunks++;
      return planWithSummaries(...given);
    };
    const { listBlocks } = source.overview;
    source.overview.listBlocks = (...given) => {
      seen.byBlocks++;
      return listBlocks(...given);
    };
    source.overview.onLacking = () => void seen.lacking++;
    const { points } = await readOf(source, { max_points: 20 }, bounds);
    expect(points.length).toBeGreaterThan(9);
    return seen;
  }

  test('with overviewChunksMin chunks or more it is asked, below it is not', async () => {
    expect((await planned({ overviewChunksMin: 100, looseChunksMax: 2_048 })).byBlocks).toBeGreaterThan(0);
    expect(await planned({ overviewChunksMin: 101, looseChunksMax: 2_048 })).toMatchObject({
      byChunks: 1,
      byBlocks: 0,
    });
  });

  test('with more than looseChunksMax chunks beside its blocks it is told to be lacking, and is passed by', async () => {
    const overviewChunksMin = 0;
    expect(await planned({ overviewChunksMin, looseChunksMax: 36 })).toMatchObject({ byChunks: 0, lacking: 0 });
    expect(await planned({ overviewChunksMin, looseChunksMax: 35 })).toMatchObject({ byChunks: 1, lacking: 1 });
    const without = await planned({ overviewChunksMin, looseChunksMax: 2_048 }, () => false);
    expect(without).toMatchObject({ byChunks: 1, lacking: 1 });
  });

  test('with more chunks beside its blocks than two of them hold it is told to be lacking', async () => {
    const source = memorySource(asMap(chunks), () => {}, { fanOut: 4, isStored: (_, block) => block < 20 });
    let lacking = 0;
    source.overview.onLacking = () => void lacking++;
    const bounds = { overviewChunksMin: 0, looseChunksMax: 2_048 };
    await readOf(source, { max_points: 20 }, bounds);
    expect(lacking).toBe(1);
    const whole = memorySource(asMap(chunks), () => {}, { fanOut: 4 });
    whole.overview.onLacking = () => void lacking++;
    await readOf(whole, { max_points: 20 }, bounds);
    expect(lacking).toBe(1);
  });
});

describe('summaries of children', () => {
  const number = fc.oneof(
    fc.double({ noDefaultInfinity: true, noNaN: true }),
    fc.integer({ min: -5_000, max: 5_000 }).map((n) => n / 100),
    fc.constant(Number.NaN),
  );
  test.each([1, 2, 3])('come back bit for bit at level %i', (level) => {
    const packer = createPacker();
    fc.assert(
      fc.property(fc.array(number, { minLength: 10 * 5, maxLength: 10 * 5 }), (numbers) => {
        const summaries = emptySummaries(5);
        Object.values(summaries).forEach((column, k) => void column.set(numbers.slice(k * 5, k * 5 + 5)));
        const image = encodeSummaries(summaries, level, packer);
        const decoded = decodeSummaries(image, level, 5);
        const names = Object.keys(summaries).slice(0, level === 1 ? 7 : 10) as (keyof typeof summaries)[];
        for (const name of names) {
          summaries[name].forEach(
            (one, i) => void expect(Object.is(decoded[name][i], one), `${name} ${one}`).toBe(true),
          );
        }
      }),
      { numRuns: 500 },
    );
  });

  test('of another length are refused', () => {
    const summaries = emptySummaries(5);
    for (const column of Object.values(summaries)) column.set([1.5, 2, Number.NaN, 7, 1 / 3]);
    const image = encodeSummaries(summaries, 1, createPacker());
    expect(() => decodeSummaries(image, 1, 6)).toThrow();
    expect(() => decodeSummaries(image.subarray(0, image.length - 1), 1, 5)).toThrow('cut');
    expect(() => decodeSummaries(Buffer.concat([image, Buffer.alloc(1)]), 1, 5)).toThrow('longer');
  });
});
