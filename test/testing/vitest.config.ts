import { defineConfig } from 'vitest/config';

// Files named so that the main run, which takes *.test.ts, never picks them up: each starts servers of the built program, on
// PostgreSQL of their own, so what they test is the same on every DATABASE_URL.
export default defineConfig({
  test: {
    include: ['test/testing/*.suite.ts'],
    // Takes all releases of the SDK and minutes of waiting, and so is a part of `npm run compatibility` alone.
    exclude: ['test/testing/sdk-faults.suite.ts'],
    globalSetup: ['test/testing/support/build.ts'],
    maxWorkers: 2,
    // On a machine that is busy with other suites each step takes ten times as long.
    testTimeout: 180_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 20_000 } },
  },
});
