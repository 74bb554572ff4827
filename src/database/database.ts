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
  options: { poolMax: number; onIdleError: (error: Error) => void },
): Database {
  const pool = new pg.Pool({
    connectionString,
    types,
    max: options.poolMax,
    connectionTimeoutMillis: limits.databaseWaitMsMax,
    statement_timeout: limits.statementMsMax,
    idle_in_transaction_session_timeout: limits.statementMsMax,
    application_name: 'metrology-server',
    keepAlive: true,
  });
  pool.on('error', options.onIdleError);
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
    await client.query('rollback').catch((rollbackError: Error) => {
      broken = rollbackError;
    });
    throw error;
  } finally {
    client.release(broken);
  }
}
