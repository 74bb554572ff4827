import { expect, test } from 'vitest';
import { axisLabels } from '../../src/page/lib/numbers.ts';

test.each([
  [1, ['0', '1', '2', '3', '4']],
  [2.5, ['0.0', '2.5', '5.0', '7.5', '10.0']],
  [0.25, ['0.00', '0.25', '0.50', '0.75', '1.00']],
  [25, ['0', '25', '50', '75', '100']],
  [0.2, ['0.0', '0.2', '0.4', '0.6', '0.8']],
  [2.5e-8, ['0', '2.5e−8', '5.0e−8', '7.5e−8', '1.00e−7']],
  [2_500_000, ['0', '2.5e6', '5.0e6', '7.5e6', '1.00e7']],
  [1e-9, ['0', '1e−9', '2e−9', '3e−9', '4e−9']],
])('labels of an axis say each step of %s whole', (step, labels) => {
  const splits = labels.map((_, i) => i * step);
  expect(axisLabels(splits, step)).toEqual(labels);
  for (const [i, label] of labels.entries()) expect(Number(label.replace('−', '-'))).toBeCloseTo(i * step, 12);
});
