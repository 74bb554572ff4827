import { defineConfig } from 'vitest/config';

const hourMs = 3_600_000;

// The suites' files are named so that the main run, which takes *.test.ts, never picks them up: one needs Python and PyPI.
// test/api/start.mjs turns arguments into the environment that they read.
export default defineConfig({
  test: {
    include: ['test/api/*.suite.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    // Each of them takes all of the machine.
    fileParallelism: false,
    disableConsoleIntercept: true,
    hookTimeout: 24 * hourMs,
  },
});
