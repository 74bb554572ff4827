import { defineConfig, mergeConfig } from 'vitest/config';
import suite from './vitest.config.ts';

/**
 * The same run, which writes down what the releases send and what applies to them, and then what they do under faults. The
 * latter takes minutes of waiting, so it is here alone.
 */
export default mergeConfig(
  suite,
  defineConfig({ test: { include: ['test/testing/sdk-faults.suite.ts'], env: { SDK_RECORD: '1' } } }),
);
