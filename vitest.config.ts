import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/sdk/**'],
    globalSetup: ['test/support/global-setup.ts'],
    // Many tests wait for processes, so more files than cores make the run shorter.
    maxWorkers: 3,
    testTimeout: 20_000,
    hookTimeout: 60_000,
    // A process that starts on a busy machine takes longer than the second that Vitest gives.
    expect: { poll: { timeout: 10_000 } },
  },
});
