import fc from 'fast-check';
import { expect } from 'vitest';
import { anyRead, blocksNotMade } from './any-channel.ts';
import { type ModelRule, modelDownSampled } from './down-sampled-model.ts';
import { asMap, memorySource, readOf } from './memory-source.ts';

/** Few of everything, so that pages, buffers and look-ups end in the middle of channels. */
const anyLimits = fc.record({
  pagePointsMax: fc.integer({ min: 1, max: 60 }),
  seriesPagePointsMax: fc.integer({ min: 1, max: 60 }),
  pageBlocksMax: fc.constantFrom(1, 3, 1_000),
  bufferPointsMax: fc.integer({ min: 2, max: 60 }),
  looseChunksMax: fc.constantFrom(0, 5, 1_000),
  overviewChunksMin: fc.constantFrom(0, 20, 1_000),
});

/** Compares so many reads of any channels with the model. @returns how often each rule of the model came to bear */
export async function compareWithModel(numRuns: number): Promise<Map<ModelRule, number>> {
  const met = new Map<ModelRule, number>();
  await fc.assert(
    fc.asyncProperty(
      anyRead,
      fc.integer({ min: 2, max: 4 }),
      blocksNotMade,
      anyLimits,
      async ({ chunks, selection }, fanOut, notMade, limits) => {
        const { rules, ...expected } = modelDownSampled(chunks, selection);
        const isStored = (level: number, block: number) => !notMade.some(([l, b]) => l === level && b === block);
        const answer = await readOf(
          memorySource(asMap(chunks), () => {}, { fanOut, isStored }),
          selection,
          limits,
        );
        expect(answer).toEqual(expected);
        for (const rule of rules) met.set(rule, (met.get(rule) ?? 0) + 1);
      },
    ),
    { numRuns },
  );
  return met;
}
