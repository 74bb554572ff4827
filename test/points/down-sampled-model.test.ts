import { expect, test } from 'vitest';
import { modelDownSampled, modelRules } from './support/down-sampled-model.ts';
import { compareWithModel } from './support/down-sampled-property.ts';
import { asMap, memorySource, readOf } from './support/memory-source.ts';

test('a down-sampled read answers what a plain model answers, point for point', { timeout: 120_000 }, async () => {
  const met = await compareWithModel(800);
  // A rule that is never met is not tested. Two are met in few of a thousand channels; the long run meets them.
  const rare = new Set(['crowded last ms', 'divided again']);
  for (const rule of modelRules.filter((one) => !rare.has(one))) {
    expect(met.get(rule) ?? 0, rule).toBeGreaterThan(0);
  }
});

test('so it does where a chunk of five points a ms reaches out of the window by one wrong time', async () => {
  const chunkAt = (chunk_index: number, begin: number, step: number) => {
    const numbers = Array.from({ length: 60 }, (_, i) => i);
    const values = numbers.map((n) => (n * 7_919 + chunk_index * 31) % 101);
    return { chunk_index, timestamps: numbers.map((n) => begin + n * step), values };
  };
  const chunks = [chunkAt(0, 0, 0.0002), chunkAt(1, 0.0125, 0.0002), chunkAt(2, 0.03, 0.001)];
  chunks[0]?.timestamps.splice(0, 1, -1_000);
  for (const [startMs, endMs] of [
    [3, 200],
    [5, 200],
    [3, 60],
    [0, 70],
  ] as const) {
    for (const max_points of [8, 10, 12, 14, 16]) {
      const { rules, ...expected } = modelDownSampled(chunks, { startMs, endMs, max_points });
      expect(await readOf(memorySource(asMap(chunks)), { startMs, endMs, max_points })).toEqual(expected);
      expect(rules).toContain('parts of chunks');
    }
  }
});
