import { Kysely, PostgresDialect } from 'kysely';
import type pg from 'pg';
import type { Tables } from './tables.ts';

/** A way to the tables: Kysely where it reads well, pg itself for hot and streaming statements. */
export interface Access {
  pool: ConnectionSource;
  kysely: Kysely<Tables>;
}

/** What a `pg.Pool` gives its users. */
export interface ConnectionSource {
  connect(): Promise<pg.PoolClient>;
  query<Row extends pg.QueryResultRow>(
    statement: string | pg.QueryConfig,
    values?: unknown[],
  ): Promise<pg.QueryResult<Row>>;
}

/** Both ways on one pool. Whoever has opened the pool ends it. */
export function accessTo<Pool extends ConnectionSource>(pool: Pool): Access & { pool: Pool } {
  return {
    pool,
    get kysely() {
      return new Kysely<Tables>({
        dialect: new PostgresDialect({ pool: { connect: () => pool.connect(), end: async () => {} } }),
      });
    },
  };
}
