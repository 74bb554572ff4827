import { defineConfig } from 'vitest/config';

// The suites' files are named so that the main run, which takes *.test.ts, never picks them up: they need Chromium.
export default defineConfig({
  test: {
    include: ['test/page/*.suite.ts'],
    globalSetup: ['test/page/support/chromium.ts', 'test/support/global-setup.ts'],
    reporters: ['verbose'],
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 15_000 } },
  },
});
