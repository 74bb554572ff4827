import { defineConfig, mergeConfig } from 'vitest/config';
import main from '../../vitest.config.ts';

// Tests of the main run, on the cluster of CITUS_URL: a coordinator with workers. Each file has a distributed database of its own.
const { include: _, ...shared } = main.test ?? {};
export default mergeConfig(
  { test: shared },
  defineConfig({
    test: {
      include: [
        'test/{streams,points,timeseries,ledger,exports,live,overviews,verify,catalogue,audit}/**/*.test.ts',
        'test/{auth,provisioning,http,retention,repack,commands}/**/*.test.ts',
        'test/http/routes.long.ts',
        'test/database/{organizations,row-level-security}.test.ts',
        'test/citus/**/*.suite.ts',
      ],
      // One file after the other: one of them kills a node.
      maxWorkers: 1,
      testTimeout: 60_000,
      hookTimeout: 120_000,
    },
  }),
);
