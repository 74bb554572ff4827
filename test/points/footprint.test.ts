import { expect, test } from 'vitest';
import { planChannelPoints } from '../../src/points/channel-points.ts';
import { readStatistics } from '../../src/points/channel-statistics.ts';
import { createSummaryPlan } from '../../src/points/chunk-plan.ts';
import { downSampledFootprintOf } from '../../src/points/footprint.ts';
import { pointLimits } from '../../src/points/limits.ts';
import { fanOut } from '../../src/points/overview.ts';
import { byMs, type Selection } from '../../src/points/selection.ts';
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

/** A channel of one chunk of `count` points, one a second, and what its reads fetch and hold. */
function watchedSource(count: number) {
  const numbers = Array.from({ length: count }, (_, i) => i);
  const seen = { fetched: 0, heldBytes: 0, heldAtFetch: [] as number[] };
  const source = memorySource(asMap([{ chunk_index: 0, timestamps: numbers, values: numbers }]), (points) => {
    seen.fetched += points;
    seen.heldAtFetch.push(seen.heldBytes);
  });
  source.enlarge = async (bytes) => {
    const more = Math.max(0, bytes);
    seen.heldBytes += more;
    return () => {
      seen.heldBytes -= more;
    };
  };
  return { source, seen };
}

test.each<[string, Selection, number]>([
  ['that may show all points', { max_points: 5_000 }, 3_000 * (40 + 16)],
  ['of the newest points', { last_n: 100 }, 3_000 * 40],
  ['with the point before', { startMs: 1_000_500, carry_in: true }, 3_000 * 40],
])(
  'a read %s has room for what planning fetches, before it fetches, and gives it back',
  async (_, selection, bytes) => {
    const { source, seen } = watchedSource(3_000);
    const wanted = { selection, zeroMs: 0, collapse: byMs };
    await planChannelPoints(source, wanted, { ...pointLimits, usualBytesMax: 0 });
    expect(seen.fetched).toBeGreaterThanOrEqual(3_000);
    expect(Math.min(...seen.heldAtFetch)).toBeGreaterThanOrEqual(bytes);
    expect(seen.heldBytes).toBe(0);
  },
);

test('statistics have room for a page before it is fetched, and give it back', async () => {
  const { source, seen } = watchedSource(3_000);
  await readStatistics(source, { fromMs: 500_000, toMs: 9_000_000 }, { ...pointLimits, usualBytesMax: 0 });
  expect(seen.heldAtFetch).toEqual([3_000 * 40]);
  expect(seen.heldBytes).toBe(0);
});

test('planning keeps no more points than are stored, and none where they are many', async () => {
  const fetched = async (count: number) => {
    const { source, seen } = watchedSource(count);
    const wanted = { selection: { max_points: 1_000_000 }, zeroMs: 0, collapse: byMs };
    const { keptPoints, batches } = await planChannelPoints(source, wanted, { ...pointLimits, keptPointsMax: 20 });
    let read = 0;
    for await (const { times } of batches({ withValues: true })) read += times.length;
    return { read, keptPoints, fetched: seen.fetched };
  };
  expect(await fetched(10)).toEqual({ read: 10, keptPoints: 10, fetched: 10 });
  expect(await fetched(20)).toEqual({ read: 20, keptPoints: 20, fetched: 20 });
  expect(await fetched(21)).toEqual({ read: 21, keptPoints: 0, fetched: 42 });
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
