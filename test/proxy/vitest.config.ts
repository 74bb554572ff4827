import { defineConfig } from 'vitest/config';

// The suites' files are named so that the main run, which takes *.test.ts, never picks them up: they need nginx, HAProxy,
// stunnel, Python and PyPI.
export default defineConfig({
  test: {
    include: ['test/proxy/*.suite.ts'],
    globalSetup: ['test/proxy/support/global-setup.ts'],
    // The suites wait more than they work, so they run side by side also where there are two cores.
    maxWorkers: 3,
    reporters: ['verbose'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
