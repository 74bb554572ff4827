import { defineConfig } from 'vitest/config';

// The suites are named so that the main run, which takes *.test.ts, never picks them up: they need Python and PyPI.
export default defineConfig({
  test: {
    include: ['test/sdk/*.suite.ts'],
    reporters: ['verbose'],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 60_000,
  },
});
