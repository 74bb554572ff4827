/** How a pool of connections to PostgreSQL is opened, and how its values are parsed. */
import pg from 'pg';
import { withoutClient } from './driver.ts';
import type { Route } from './route.ts';
import { type PoolBounds, RoutedPool } from './routed-pool.ts';
import { beginSession } from './session.ts';

export interface PoolOptions extends PoolBounds {
  /** A lost idle connection is reported here and replaced by the pool. */
  onIdleError: (error: Error) => void;
  /** Longest run of a statement; 0 for no bound. */
  statementMsMax: number;
  /** How much longer than that its answer may take, before the connection is given up. */
  answerMsMax: number;
  /** Longest wait for a connection. */
  waitMsMax: number;
  /** Longest time in which a new connection sets its role and settings (`session.ts`). */
  sessionMsMax: number;
  /** The role that connections take, and settings of PostgreSQL in addition to the common ones. */
  role?: string;
  settings?: Readonly<Record<string, string>>;
}

const int8Oid = 20;
const timestamptzOid = 1184;

/**
 * int8 columns here stay below 2^53. Times are returned as ISO 8601 text with all their microseconds, never through a
 * Date.
 */
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

/** Opens a pool. Nothing connects before the first statement. */
export function openPool(route: Route, options: PoolOptions, config: pg.PoolConfig): pg.Pool {
  const { statementMsMax, role, sessionMsMax } = options;
  const timeouts = {
    statement_timeout: String(statementMsMax),
    idle_in_transaction_session_timeout: String(statementMsMax),
  };
  const session = { ...(role !== undefined && { role }), settings: { ...shown, ...timeouts, ...options.settings } };
  const all: pg.PoolConfig = {
    types,
    connectionTimeoutMillis: options.waitMsMax,
    // PostgreSQL cancels a statement in time. A longer wait means that the network has lost the statement or the
    // answer.
    query_timeout: statementMsMax === 0 ? 0 : statementMsMax + options.answerMsMax,
    application_name: 'metrology-server',
    keepAlive: true,
    ...config,
  };
  const msMax = Math.min(sessionMsMax, all.connectionTimeoutMillis ?? sessionMsMax);
  all.onConnect = (client) => beginSession(client, session, route, msMax);
  const pool = new RoutedPool(all, route, options);
  // The error goes into a log, where the client and its keys have no place.
  pool.on('error', (error) => options.onIdleError(withoutClient(error)));
  // A connection that is lost in use fails its statement. It also emits an error, which would end the process without a
  // listener.
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

/** Times as UTC in ISO 8601 and float8 with all digits, whatever the settings of the server or the database. */
const shown = { TimeZone: 'UTC', DateStyle: 'ISO', extra_float_digits: '1' };
