import { defineConfig } from 'vitest/config';

// Files named so that the main run, which takes *.test.ts, never picks them up: they make a PostgreSQL, or install the
// package, for nearly every test, and what they test is the same on every DATABASE_URL.
export default defineConfig({
  test: {
    include: ['test/installed/*.suite.ts', 'test/process/*.suite.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    maxWorkers: 3,
    testTimeout: 20_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 10_000 } },
  },
});
