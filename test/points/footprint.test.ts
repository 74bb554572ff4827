import { expect, test } from 'vitest';
import { createSummaryPlan } from '../../src/points/chunk-plan.ts';
import { downSampledFootprintOf } from '../../src/points/footprint.ts';
import { pointLimits } from '../../src/points/limits.ts';
import { fanOut } from '../../src/points/overview.ts';
import { asMap, memorySource, readOf } from './support/memory-source.ts';
import type { ModelChunk } from './support/model.ts';

/** A plan of blocks that follow each other, of chunks of 100 points, one a second; the last of level 0 is a chunk. */
function planOf(levels: number[]) {
  const plan = createSummaryPlan();
  let chunk = 0;
  for (const level of levels) {
    const chunks = fanOut ** level;
    const pointCount = chunks * 100;
    plan.addBlock(level, chunk, {
      ...{ pointCount, fittingPoints: pointCount, timeMin: chunk, timeMax: chunk + chunks - 0.01, timeMinMax: chunk },
      ...{ valueMin: 0, valueMinTime: chunk, valueMax: 1, valueMaxTime: chunk, pointsPerMs: 0.1 },
    });
    chunk += chunks;
  }
  return plan.byTime(async () => {});
}

test('of a block as many points are held as its chunks have on average', async () => {
  const ofChunks = downSampledFootprintOf(await planOf([0, 0]), pointLimits, 2_000);
  const ofBlocks = downSampledFootprintOf(await planOf([0, 3, 3, 3, 0]), pointLimits, 2_000);
  expect(ofChunks.points).toBe(200);
  expect(ofBlocks.points).toBe(500);
  expect(ofBlocks.bytes).toBeLessThanOrEqual(pointLimits.usualBytesMax);
});

test('a chunk that is longer than the others of its block takes room when it is read', async () => {
  const chunks = Array.from({ length: 192 }, (_, chunk_index): ModelChunk => {
    const numbers = Array.from({ length: chunk_index === 70 ? 3_000 : 10 }, (_, i) => chunk_index * 10_000 + i);
    return { chunk_index, timestamps: numbers, values: numbers.map((n) => (n * 7_919) % 10_007) };
  });
  const source = memorySource(asMap(chunks), () => {});
  source.planWithSummaries = () => Promise.reject(new Error('planned by chunks'));
  const held = { bytes: 0, mostBytes: 0 };
  source.enlarge = async (bytes) => {
    const more = Math.max(0, bytes);
    held.bytes += more;
    held.mostBytes = Math.max(held.mostBytes, held.bytes);
    return () => {
      held.bytes -= more;
    };
  };
  const limits = { overviewChunksMin: 0, pagePointsMax: 50, seriesPagePointsMax: 50, usualBytesMax: 0 };
  const { points } = await readOf(source, { max_points: 20 }, limits);
  expect(points.length).toBeGreaterThan(9);
  expect(held.mostBytes).toBeGreaterThan(3_000 * 16);
  expect(held.bytes).toBe(0);
});

test('the blocks of each level in which parts may begin pass', async () => {
  const { pageBlocksMax } = pointLimits;
  const passing = async (levels: number[]) =>
    downSampledFootprintOf(await planOf(levels), pointLimits, 2_000).passingBytes;
  const one = await passing([1, 0]);
  const blockBytes = (await passing([1, 1])) - one;
  // Ten columns of numbers.
  expect(blockBytes).toBeGreaterThan(10 * fanOut * 8);
  // Itself, its 64, and of their 4,096 as many as are fetched at a time.
  expect((await passing([3, 0])) - one).toBe((pageBlocksMax + fanOut) * blockBytes);
});
