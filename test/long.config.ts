import { defineConfig, mergeConfig } from 'vitest/config';
import main from '../vitest.config.ts';

// Tests like those of the main run, in files that take seven seconds and more each: they start processes, wait for bounds of time,
// or move much data. On a busy machine some take three times as long as on a quiet one.
const { include: _, ...shared } = main.test ?? {};
export default mergeConfig(
  { test: shared },
  defineConfig({ test: { include: ['test/**/*.long.ts'], testTimeout: 60_000 } }),
);
