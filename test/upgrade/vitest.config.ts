import { defineConfig } from 'vitest/config';

// Databases that earlier builds have written, opened by this one. Named so that the main run does not pick it up.
export default defineConfig({
  test: {
    include: ['test/upgrade/*.suite.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
