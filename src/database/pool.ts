/** How a pool of connections to PostgreSQL is opened, and what its values look like here. */
import pg from 'pg';

export interface PoolOptions {
  /** A lost idle connection is reported here and replaced by the pool. */
  onIdleError: (error: Error) => void;
  /** Longest run of a statement; 0 for no bound. */
  statementMsMax: number;
  /** How much longer its answer may take, before the connection is given up. */
  answerMsMax: number;
  /** Longest wait for a connection. */
  waitMsMax: number;
  /** Settings of PostgreSQL for every connection, each as `-c name=value`. */
  settings: string;
  /** Default `pg.Pool`. */
  Pool?: typeof pg.Pool | undefined;
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

/** Opens a pool. Nothing connects before the first statement. */
export function openPool(connectionString: string, options: PoolOptions, config: pg.PoolConfig): pg.Pool {
  const { statementMsMax } = options;
  const pool = new (options.Pool ?? pg.Pool)({
    connectionString: withOptions(connectionString, `${sessionOptions} ${options.settings}`),
    types,
    connectionTimeoutMillis: options.waitMsMax,
    statement_timeout: statementMsMax,
    idle_in_transaction_session_timeout: statementMsMax,
    // PostgreSQL cancels in time; waiting longer means that the network has swallowed the statement or the answer.
    query_timeout: statementMsMax === 0 ? 0 : statementMsMax + options.answerMsMax,
    application_name: 'metrology-server',
    keepAlive: true,
    ...config,
  });
  pool.on('error', options.onIdleError);
  // A connection that is lost in use fails its statement, and emits an error that would end the process unheard.
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

/** Times as UTC in ISO 8601, float8 with all its digits, whatever the server or its database is set to. */
const sessionOptions = '-c timezone=UTC -c datestyle=ISO -c extra_float_digits=1';

/** For `pg` the options of the URL replace those given beside it, so ours go there, after those of the operator. */
function withOptions(connectionString: string, options: string): string {
  const url = new URL(connectionString);
  url.searchParams.set('options', [url.searchParams.get('options') ?? '', options].join(' ').trim());
  return url.href;
}
