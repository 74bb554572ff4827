import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { limits } from '../config.ts';
import { CommitInDoubt, isConnectionLoss } from './failures.ts';
import { apiRole, organizationSetting, serviceRole } from './roles.ts';
import type { Tables } from './tables.ts';

/** A way to the tables: Kysely where it reads well, pg itself for hot and streaming statements. */
export interface Access {
  pool: Connections;
  kysely: Kysely<Tables>;
}

/** What a `pg.Pool` gives its users. */
export interface Connections {
  connect(): Promise<pg.PoolClient>;
  query<Row extends pg.QueryResultRow>(
    statement: string | pg.QueryConfig,
    values?: unknown[],
  ): Promise<pg.QueryResult<Row>>;
}

/**
 * The database as the server uses it: PostgreSQL itself lets each way see no more than is said here, by the policies of
 * migration 0007 (docs/decisions/0009-row-level-security.md).
 */
export interface Database {
  /** The way of the API: the rows of one organization and no others, whatever a statement asks for. */
  as(organizationId: string): Access;
  /** The way of keys, upkeep and readiness: the rows of every organization. */
  service: Access;
  /** Connections of ingest alone, so that no read keeps a chunk waiting; statements are sent without awaiting the last. */
  ingestPool: pg.Pool;
  /** To be counted. */
  pools: Record<'general' | 'service' | 'ingest', Pick<pg.Pool, 'totalCount' | 'idleCount' | 'waitingCount'>>;
  close(): Promise<void>;
}

/** The database as the role that owns its tables: for migrations and for making roles. */
export interface OwnerDatabase extends Access {
  pool: pg.Pool;
  close(): Promise<void>;
}

interface OpenOptions {
  /** A lost idle connection is reported here and replaced by the pool. */
  onIdleError: (error: Error) => void;
  /** Longest run of a statement; 0 for no bound. Default `limits.statementMsMax`. */
  statementMsMax?: number;
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

/** Opens pools on PostgreSQL 15 to 18 under the roles of roles.ts. Nothing connects before the first statement. */
export function openDatabase(connectionString: string, options: OpenOptions & { poolMax: number }): Database {
  const open = (role: string, settings: string, max: number, more: pg.PoolConfig = {}) =>
    openPool(connectionString, options, `-c role=${role} ${settings}`, { max, ...more });
  const general = open(apiRole, '', options.poolMax);
  const service = open(serviceRole, '', limits.serviceConnectionsMax);
  const ingest = open(
    serviceRole,
    ingestSessionOptions,
    // Each flush has one, and so may the reading after the flush before; one more looks keys up.
    2 * limits.flushesMax + 1,
    // A plan that was made for small tables does not outlive its connection.
    { pipeline: true, maxLifetimeSeconds: limits.ingestConnectionSecondsMax } as pg.PoolConfig,
  );
  const pools = { general, service, ingest };
  return {
    as: accessByOrganization(general),
    service: { pool: service, kysely: kyselyOn(service) },
    ingestPool: ingest,
    pools,
    close: () => endPools(Object.values(pools)),
  };
}

/** Opens a pool under the role of the connection string itself. Nothing connects before the first statement. */
export function openAsOwner(connectionString: string, options: OpenOptions & { poolMax?: number }): OwnerDatabase {
  const pool = openPool(connectionString, options, '', { max: options.poolMax ?? 1 });
  return { pool, kysely: kyselyOn(pool), close: () => endPools([pool]) };
}

function openPool(
  connectionString: string,
  { onIdleError, statementMsMax = limits.statementMsMax }: OpenOptions,
  settings: string,
  config: pg.PoolConfig,
): pg.Pool {
  const pool = new pg.Pool({
    connectionString: withOptions(connectionString, `${sessionOptions} ${settings}`),
    types,
    connectionTimeoutMillis: limits.databaseWaitMsMax,
    statement_timeout: statementMsMax,
    idle_in_transaction_session_timeout: statementMsMax,
    // PostgreSQL cancels in time; waiting longer means that the network has swallowed the statement or the answer.
    query_timeout: statementMsMax === 0 ? 0 : statementMsMax + limits.answerMsMax,
    application_name: 'metrology-server',
    keepAlive: true,
    ...config,
  });
  pool.on('error', onIdleError);
  // A connection that is lost in use fails its statement, and emits an error that would end the process unheard.
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

const kyselyOn = (pool: Connections) =>
  // The pool is ended by whoever has opened it.
  new Kysely<Tables>({
    dialect: new PostgresDialect({ pool: { connect: () => pool.connect(), end: async () => {} } }),
  });

/** A statement that hangs is left to PostgreSQL, which ends it with its connection. */
async function endPools(pools: pg.Pool[]): Promise<void> {
  const ended = Promise.all(pools.map((pool) => (pool.ending ? undefined : pool.end())));
  await Promise.race([ended, sleep(limits.shutdownMsMax, undefined, { ref: false })]);
}

/**
 * Ways into a pool that name the organization to the connections that they hand out, which the policies of the tables look
 * at. There is no other way to these connections; one that has no organization yet fails where a policy asks for it.
 */
function accessByOrganization(pool: pg.Pool): (organizationId: string) => Access {
  const organizationOf = new WeakMap<pg.PoolClient, string>();

  async function connect(organizationId: string): Promise<pg.PoolClient> {
    const client = await pool.connect();
    if (organizationOf.get(client) === organizationId) return client;
    organizationOf.delete(client);
    try {
      await client.query({ name: 'name_organization', text: nameOrganization, values: [organizationId] });
    } catch (error) {
      client.release(error as Error);
      throw error;
    }
    organizationOf.set(client, organizationId);
    return client;
  }

  return (organizationId) => {
    const connections: Connections = {
      connect: () => connect(organizationId),
      async query<Row extends pg.QueryResultRow>(statement: string | pg.QueryConfig, values?: unknown[]) {
        const client = await connect(organizationId);
        let failure: Error | undefined;
        try {
          return await client.query<Row>(statement as string, values);
        } catch (error) {
          failure = error as Error;
          throw error;
        } finally {
          client.release(failure);
        }
      },
    };
    return {
      pool: connections,
      get kysely() {
        return kyselyOn(connections);
      },
    };
  };
}

const nameOrganization = `select set_config('${organizationSetting}', $1::text, false)`;

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
  pool: Pick<Connections, 'connect'>,
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
