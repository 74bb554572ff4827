import { defineConfig } from 'vitest/config';

// The suite's file is named so that the main run, which takes *.test.ts, never picks it up: it needs Linux, and minutes.
export default defineConfig({
  test: {
    include: ['test/memory/*.suite.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    reporters: ['verbose'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
