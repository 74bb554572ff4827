import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { limits } from '../config.ts';
import { CommitInDoubt, isConnectionLoss } from './failures.ts';
import type { Tables } from './tables.ts';

/** Kysely where it reads well, pg itself for hot and streaming statements. */
export interface Database {
  pool: pg.Pool;
  /** Connections of ingest alone, so that no read keeps a chunk waiting; statements are sent without awaiting the last. */
  ingestPool: pg.Pool;
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
  const shared = {
    types,
    connectionTimeoutMillis: limits.databaseWaitMsMax,
    statement_timeout: statementMsMax,
    idle_in_transaction_session_timeout: statementMsMax,
    // PostgreSQL cancels in time; waiting longer means that the network has swallowed the statement or the answer.
    query_timeout: statementMsMax === 0 ? 0 : statementMsMax + limits.answerMsMax,
    application_name: 'metrology-server',
    keepAlive: true,
  };
  const pool = new pg.Pool({
    ...shared,
    connectionString: withOptions(connectionString, sessionOptions),
    max: options.poolMax,
  });
  const ingestPool = new pg.Pool({
    ...shared,
    connectionString: withOptions(connectionString, `${sessionOptions} ${ingestSessionOptions}`),
    // Each flush has one, and so may the reading after the flush before; one more looks keys up.
    max: 2 * limits.flushesMax + 1,
    pipeline: true,
    // A plan that was made for small tables does not outlive its connection.
    maxLifetimeSeconds: limits.ingestConnectionSecondsMax,
  } as pg.PoolConfig);
  for (const one of [pool, ingestPool]) {
    one.on('error', options.onIdleError);
    // A connection that is lost in use fails its statement, and emits an error that would end the process unheard.
    one.on('connect', (client) => client.on('error', () => {}));
  }
  const kysely = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  return {
    pool,
    ingestPool,
    kysely,
    close: async () => {
      // A statement that hangs is left to PostgreSQL, which ends it with its connection.
      const ended = Promise.all([endPool(pool, kysely), ingestPool.end()]);
      await Promise.race([ended, sleep(limits.shutdownMsMax, undefined, { ref: false })]);
    },
  };
}

/** Kysely ends its pool, but not one that it has never used itself. */
async function endPool(pool: pg.Pool, kysely: Kysely<Tables>): Promise<void> {
  await kysely.destroy();
  if (!pool.ending) await pool.end();
}

/** Times as UTC in ISO 8601, float8 with all its digits, whatever the server or its database is set to. */
const sessionOptions = '-c timezone=UTC -c datestyle=ISO -c extra_float_digits=1';

/**
 * Ingest finds all its rows by key and sends the same few statements for ever. A plan that reads a table whole, made while
 * it was small, would be kept while it grows, so such plans are ruled out; and planning anew for the parameters at hand
 * costs ten times the work itself (64 rows: 2.4 ms to plan, 0.3 ms to run).
 */
const ingestSessionOptions =
  '-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c plan_cache_mode=force_generic_plan';

/** For `pg` the options of the URL replace those given beside it, so ours go there, after those of the operator. */
function withOptions(connectionString: string, options: string): string {
  const url = new URL(connectionString);
  url.searchParams.set('options', [url.searchParams.get('options') ?? '', options].join(' ').trim());
  return url.href;
}

/** Runs `work` in one transaction on one connection; any error rolls back, and a broken connection is not reused. */
export async function inTransaction<Result>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    // Not awaited first: on a connection that sends ahead, it travels with the first statements of the work.
    const begun = client.query('begin');
    begun.catch(() => {});
    const result = await work(client);
    await begun;
    await client.query('commit').catch((error: Error) => {
      throw isConnectionLoss(error) ? new CommitInDoubt(error) : error;
    });
    return result;
  } catch (error) {
    // A connection that has not answered in time would let the rollback wait as long again; closing it rolls back too.
    broken = (error as Error).message === 'Query read timeout' ? (error as Error) : await rollBack(client);
    throw error;
  } finally {
    client.release(broken);
  }
}

/**
 * Runs statements as one transaction in one trip: `begin`, what `send` sends without waiting, and `commit` travel together,
 * so that a transaction of a few statements takes PostgreSQL and this process once from other work, not four times. When a
 * statement fails PostgreSQL rolls back. The connections of the pool must be such as send ahead.
 * @throws the error of the first statement that failed; CommitInDoubt when the connection is lost on the way
 */
export async function inOneTrip<Results extends unknown[]>(
  pool: pg.Pool,
  send: (client: pg.PoolClient) => { [Index in keyof Results]: Promise<Results[Index]> },
): Promise<Results> {
  const client = await pool.connect();
  // The socket holds back what is written until all is, and then sends it with one call of the system.
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
  stream.cork();
  const sent = [client.query('begin'), ...send(client), client.query('commit')];
  stream.uncork();
  const outcomes = await Promise.allSettled(sent);
  const failure = outcomes.find((outcome) => outcome.status === 'rejected')?.reason as Error | undefined;
  const isLost = failure !== undefined && (isConnectionLoss(failure) || failure.message === 'Query read timeout');
  client.release(isLost ? failure : undefined);
  if (failure !== undefined) throw isLost ? new CommitInDoubt(failure) : failure;
  return outcomes.slice(1, -1).map((outcome) => (outcome as PromiseFulfilledResult<unknown>).value) as Results;
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
