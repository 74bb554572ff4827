import { expect, test } from 'vitest';
import { modelRules } from './support/down-sampled-model.ts';
import { compareWithModel } from './support/down-sampled-property.ts';

test('a down-sampled read answers what a plain model answers, in many channels', { timeout: 600_000 }, async () => {
  const met = await compareWithModel(10_000);
  for (const rule of modelRules) expect(met.get(rule) ?? 0, rule).toBeGreaterThan(0);
});
