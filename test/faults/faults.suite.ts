import { expect, inject, test } from 'vitest';
import { faults } from './faults.ts';
import { createRun, type Scale, tellViolations } from './support/run.ts';

const scale = (process.env.FAULTS_SCALE ?? 'small') as Scale;
const seed = Number(process.env.FAULTS_SEED ?? Date.now() % 1_000_000_000);
const only = process.env.FAULTS_ONLY;

for (const [name, inject_] of Object.entries(faults)) {
  if (only !== undefined && only !== name) continue;
  test(name, async () => {
    const run = createRun(seed, scale);
    try {
      await inject_(run, inject('builtFolder'));
    } finally {
      console.info(`\n${name}, ${run.report()}`);
      const violations = run.violations();
      if (violations.length > 0) console.info(tellViolations(violations));
    }
    expect(run.violations()).toHaveLength(0);
  });
}
