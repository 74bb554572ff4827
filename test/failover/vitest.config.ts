import { defineConfig } from 'vitest/config';

const hourMs = 3_600_000;

// The suite's file is named so that the main run, which takes *.test.ts, never picks it up. test/failover/start.mjs turns
// arguments into the environment that it reads.
export default defineConfig({
  test: {
    include: ['test/failover/*.suite.ts'],
    globalSetup: ['test/faults/support/global-setup.ts'],
    disableConsoleIntercept: true,
    // The suites wait more than they work, so they run side by side also where there are two cores.
    maxWorkers: 2,
    testTimeout: 24 * hourMs,
    hookTimeout: 60_000,
  },
});
