import { defineConfig } from 'vitest/config';

// The suites' files are named so that the main run, which takes *.test.ts, never picks them up: they need Chromium.
export default defineConfig({
  test: {
    include: ['test/page/*.suite.ts'],
    globalSetup: ['test/page/support/chromium.ts', 'test/support/global-setup.ts'],
    reporters: ['verbose'],
    // Half of the suites wait most of their time: for a silence, for a demo. FULL=1 measures, and wants the machine for itself.
    maxWorkers: process.env.FULL === '1' ? 1 : 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 30_000 } },
  },
});
