import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    include: ['test/**/*.test.ts'],
    exclude: ['test/sdk/**'],
    // Files share what they import: loading it anew for each was a quarter of the run.
    isolate: false,
    // Many tests wait for processes, so more files than cores make the run shorter.
    maxWorkers: 3,
    testTimeout: 20_000,
    hookTimeout: 60_000,
    // A process that starts on a busy machine takes longer than the second that Vitest gives.
    expect: { poll: { timeout: 10_000 } },
  },
});
