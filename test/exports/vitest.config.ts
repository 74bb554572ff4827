import { defineConfig } from 'vitest/config';

// The suite's file is named so that the main run, which takes *.test.ts, never picks it up: it needs Python and PyPI.
export default defineConfig({
  test: {
    include: ['test/exports/*.suite.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    reporters: ['verbose'],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 600_000,
  },
});
