import { expect, test } from 'vitest';
import { modelRules } from './down-sampled-model.ts';
import { compareWithModel } from './down-sampled-property.ts';

test('a down-sampled read answers what a plain model answers, point for point', { timeout: 120_000 }, async () => {
  const met = await compareWithModel(800);
  // A rule that is never met is not tested. One is met in a thousand channels only; the long run meets it.
  for (const rule of modelRules.filter((one) => one !== 'crowded last ms')) {
    expect(met.get(rule) ?? 0, rule).toBeGreaterThan(0);
  }
});
