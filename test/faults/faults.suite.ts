import { afterAll, expect, inject, test } from 'vitest';
import { faults } from './faults.ts';
import { createRun, type Scale, shown, tellViolations } from './support/run.ts';

const scale = (process.env.FAULTS_SCALE ?? 'small') as Scale;
const seed = Number(process.env.FAULTS_SEED ?? Date.now() % 1_000_000_000);
const only = process.env.FAULTS_ONLY;
const total = { operations: 0, faults: 0, violations: 0 };

for (const [name, injectFault] of Object.entries(faults)) {
  if (only !== undefined && only !== name) continue;
  test(name, async () => {
    const run = createRun(seed, scale);
    try {
      await injectFault(run, inject('builtFolder'));
    } finally {
      console.info(`\n${name}, ${run.report()}`);
      const violations = run.violations();
      if (violations.length > 0) console.info(tellViolations(violations));
      const totals = run.totals();
      for (const key of ['operations', 'faults', 'violations'] as const) total[key] += totals[key];
    }
    expect(run.violations().length, tellViolations(run.violations())).toBe(0);
  });
}

afterAll(() => {
  const { operations, faults: injected, violations } = total;
  console.info(
    `\nseed ${seed}, in all: ${shown(operations)} operations, ${shown(injected)} faults, ${shown(violations)} violations`,
  );
});
