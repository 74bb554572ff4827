import { defineConfig } from 'vitest/config';

const common = {
  testTimeout: 20_000,
  hookTimeout: 60_000,
  // A process that starts on a busy machine takes longer than the second that Vitest gives.
  expect: { poll: { timeout: 10_000 } },
};
const all = ['test/**/*.test.ts'];
/** They measure the memory of their process, in which nothing else may have run. */
const measuring = ['test/*/streaming.test.ts'];

export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    // Many tests wait for processes, so more files than cores make the run shorter.
    maxWorkers: 3,
    projects: [
      { test: { ...common, name: 'measuring', include: measuring } },
      // Files share what they import: loading it anew for each was a quarter of the run.
      { test: { ...common, name: 'main', include: all, exclude: ['test/sdk/**', ...measuring], isolate: false } },
    ],
  },
});
