import { defineConfig } from 'vitest/config';

// PostgreSQL as it is out there: behind poolers, with TLS, set up by somebody else. The files are named so that the main run,
// which takes *.test.ts, never picks them up: they need Debian's PostgreSQL 15, PgBouncer and psql.
export default defineConfig({
  test: {
    include: ['test/postgres/*.suite.ts'],
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 20_000 } },
  },
});
