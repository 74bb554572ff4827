import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { limits } from '../config.ts';
import type { Tables } from './tables.ts';

/** One pool with two faces: Kysely where it reads well, pg itself for hot and streaming statements. */
export interface Database {
  pool: pg.Pool;
  kysely: Kysely<Tables>;
  close(): Promise<void>;
}

const int8Oid = 20;
const timestamptzOid = 1184;

/** int8 columns here stay below 2^53; times go out as ISO 8601 text with all their microseconds, never through a Date. */
const parsers: Record<number, (text: string) => unknown> = {
  [int8Oid]: Number,
  [timestamptzOid]: isoTime,
};
const types = {
  getTypeParser(oid: number, format?: 'text' | 'binary') {
    return (format !== 'binary' && parsers[oid]) || pg.types.getTypeParser(oid, format);
  },
} as pg.CustomTypesConfig;

/** PostgreSQL's `2026-01-31 08:00:00.5+00` as `2026-01-31T08:00:00.5Z`. */
export function isoTime(text: string): string {
  return text
    .replace(' ', 'T')
    .replace(/([+-]\d\d)$/, '$1:00')
    .replace('+00:00', 'Z');
}

/**
 * Opens a pool on PostgreSQL 15 to 18. Nothing connects before the first statement.
 * A lost idle connection is reported to `onIdleError` and replaced by the pool.
 */
export function openDatabase(
  connectionString: string,
  options: {
    poolMax: number;
    onIdleError: (error: Error) => void;
    /** Longest run of a statement; 0 for no bound. Default `limits.statementMsMax`. */
    statementMsMax?: number;
  },
): Database {
  const statementMsMax = options.statementMsMax ?? limits.statementMsMax;
  const pool = new pg.Pool({
    connectionString,
    types,
    max: options.poolMax,
    connectionTimeoutMillis: limits.databaseWaitMsMax,
    statement_timeout: statementMsMax,
    idle_in_transaction_session_timeout: statementMsMax,
    // PostgreSQL cancels in time; waiting longer means that the network has swallowed the statement or the answer.
    query_timeout: statementMsMax === 0 ? 0 : statementMsMax + limits.answerMsMax,
    application_name: 'metrology-server',
    // Times as UTC in ISO 8601, float8 with all its digits, whatever the server or its database is set to.
    options: '-c timezone=UTC -c datestyle=ISO -c extra_float_digits=1',
    keepAlive: true,
  });
  pool.on('error', options.onIdleError);
  // A connection that is lost in use fails its statement, and emits an error that would end the process unheard.
  pool.on('connect', (client) => client.on('error', () => {}));
  const kysely = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  return { pool, kysely, close: () => kysely.destroy() };
}

/** Runs `work` in one transaction on one connection; any error rolls back, and a broken connection is not reused. */
export async function inTransaction<Result>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query('begin');
    const result = await work(client);
    await client.query('commit');
    return result;
  } catch (error) {
    // A connection that has not answered in time would let the rollback wait as long again; closing it rolls back too.
    broken = (error as Error).message === 'Query read timeout' ? (error as Error) : await rollBack(client);
    throw error;
  } finally {
    client.release(broken);
  }
}

/** @returns why the connection is of no more use, if it is not. */
async function rollBack(client: pg.PoolClient): Promise<Error | undefined> {
  try {
    await client.query('rollback');
    return undefined;
  } catch (error) {
    return error as Error;
  }
}
