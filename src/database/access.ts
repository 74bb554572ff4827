import { Kysely, PostgresDialect, type QueryExecutorProvider } from 'kysely';
import type pg from 'pg';

/**
 * The two ways to run a statement. A statement that is put together of parts is written with the `sql` tag of Kysely and runs on
 * `kysely`. A statement of fixed text, on a hot path or with a streamed answer runs on `pool`. Kysely's query builder is not used
 * (docs/decisions/0058-one-way-to-sql.md), so the type of `kysely` does not offer it.
 */
export interface Access {
  pool: ConnectionSource;
  kysely: QueryExecutorProvider;
}

/** The part of `pg.Pool` that stores use. */
export interface ConnectionSource {
  connect(): Promise<pg.PoolClient>;
  query<Row extends pg.QueryResultRow>(
    statement: string | pg.QueryConfig,
    values?: unknown[],
  ): Promise<pg.QueryResult<Row>>;
  /**
   * Only of connections that may lead to a replica: whether what has failed on this connection is to run again, as the
   * next connection leads to the primary. Asked by those who have handed nothing out yet.
   */
  runsAgain?(client: pg.PoolClient, error: unknown): boolean;
}

/** Both ways on one pool. The caller ends the pool. */
export function accessTo<Pool extends ConnectionSource>(pool: Pool): Access & { pool: Pool } {
  return {
    pool,
    get kysely() {
      return new Kysely<never>({
        dialect: new PostgresDialect({ pool: { connect: async () => oneByOne(pool), end: async () => {} } }),
      });
    },
  };
}

/** Each statement by itself, so that the pool can run one again that has failed on a replica. */
const oneByOne = (pool: ConnectionSource) =>
  ({
    query: (statement: string, values: readonly unknown[]) => pool.query(statement, [...values]),
    release() {},
  }) as never;
