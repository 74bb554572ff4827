import { defineConfig, mergeConfig } from 'vitest/config';
import suite from './vitest.config.ts';

/** The same run, which writes down what the releases send and what applies to them. */
export default mergeConfig(suite, defineConfig({ test: { env: { SDK_RECORD: '1' } } }));
