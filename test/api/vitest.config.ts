import { defineConfig } from 'vitest/config';

const hourMs = 3_600_000;

// The suite's file is named so that the main run, which takes *.test.ts, never picks it up: it needs Python and PyPI.
// test/api/start.mjs turns arguments into the environment that it reads.
export default defineConfig({
  test: {
    include: ['test/api/api.suite.ts'],
    disableConsoleIntercept: true,
    hookTimeout: 24 * hourMs,
  },
});
