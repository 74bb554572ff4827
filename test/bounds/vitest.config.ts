import { defineConfig } from 'vitest/config';

// The suite's file is named so that the main run, which takes *.test.ts, never picks it up. test/bounds/start.mjs turns
// arguments into the environment that it reads.
export default defineConfig({
  test: {
    include: ['test/bounds/bounds.suite.ts'],
    globalSetup: ['test/faults/support/global-setup.ts'],
    disableConsoleIntercept: true,
    testTimeout: 180_000,
    hookTimeout: 60_000,
  },
});
