import { Kysely, PostgresDialect, type QueryExecutorProvider } from 'kysely';
import type pg from 'pg';

/**
 * A way to the tables. Statements that are put together of parts are written with the `sql` tag of Kysely and run on `kysely`;
 * hot and streaming ones, and those of fixed text, go to `pool`. Kysely's query builder is not used
 * (docs/decisions/0058-one-way-to-sql.md), so the type has nothing of it.
 */
export interface Access {
  pool: ConnectionSource;
  kysely: QueryExecutorProvider;
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
      return new Kysely<never>({
        dialect: new PostgresDialect({ pool: { connect: () => pool.connect(), end: async () => {} } }),
      });
    },
  };
}
