import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Kysely, PostgresDialect } from 'kysely';
import type pg from 'pg';
import { limits } from '../config.ts';
import { CommitInDoubt, isConnectionLoss } from './failures.ts';
import { type DatabaseLimits, databaseLimits } from './limits.ts';
import { connectionsByOrganization } from './organizations.ts';
import { openPool } from './pool.ts';
import { apiRole, serviceRole } from './roles.ts';
import { createShares } from './shares.ts';
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
  /**
   * The way of the API: the rows of one organization and no others, whatever a statement asks for. An organization holds as
   * many of its connections as are still free, and no more (`shares.ts`).
   */
  as(organizationId: string): Access;
  /** The way of upkeep and of commands: the rows of every organization. */
  service: Access;
  /** Connections that look keys up: no read, no upkeep and no chunk keeps one waiting, and it keeps none of them. */
  keyPool: pg.Pool;
  /** The connection that sees whether this server may go on (`standing.ts`). */
  standingPool: pg.Pool;
  /**
   * Connections of ingest alone (chunks, initialize, finalize), so that no read keeps a chunk waiting; statements are sent
   * without awaiting the last. They see every organization.
   */
  ingestPool: pg.Pool;
  /** To be counted. */
  pools: Record<PoolName, Pick<pg.Pool, 'totalCount' | 'idleCount' | 'waitingCount'>>;
  close(): Promise<void>;
}

type PoolName = 'general' | 'keys' | 'service' | 'standing' | 'ingest';

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

interface DatabaseOptions extends OpenOptions {
  /** Connections for what routes read and edit. */
  poolMax: number;
  /** Bounds that differ from `databaseLimits`. */
  bounds?: Partial<DatabaseLimits>;
  /** The pools themselves; default those of `pg` (`gate.ts` has some for a database that is not fit to be used yet). */
  Pool?: typeof pg.Pool;
}

/** Opens pools on PostgreSQL 15 to 18 under the roles of roles.ts. Nothing connects before the first statement. */
export function openDatabase(connectionString: string, options: DatabaseOptions): Database {
  const { statementMsMax = limits.statementMsMax, poolMax } = options;
  const bounds = { ...databaseLimits, ...options.bounds };
  const open = (role: string, max: number, settings = '', more: pg.PoolConfig = {}, msMax: number = statementMsMax) =>
    openPool(
      connectionString,
      { ...poolOptions(options, msMax, `-c role=${role} ${settings}`), Pool: options.Pool },
      { max, ...more },
    );
  const general = open(apiRole, poolMax, '', {}, Math.min(statementMsMax, bounds.readStatementMsMax));
  const keys = open(serviceRole, bounds.keyConnectionsMax);
  const service = open(serviceRole, limits.serviceConnectionsMax);
  const standing = open(
    serviceRole,
    bounds.standingConnectionsMax,
    '',
    {},
    Math.min(statementMsMax, bounds.standingMsMax),
  );
  const ingest = open(serviceRole, ingestConnectionsMax, ingestSessionOptions, {
    pipeline: true,
    // A plan that was made for small tables does not outlive its connection.
    maxLifetimeSeconds: limits.ingestConnectionSecondsMax,
  } as pg.PoolConfig);
  const shares = createShares({ ...bounds, connectionsMax: poolMax, waitMsMax: limits.databaseWaitMsMax });
  // Requests wait for their share before they come to the pool, which has a connection for each that gets so far.
  Object.defineProperty(general, 'waitingCount', { get: shares.waitingCount });
  const connectionsOf = connectionsByOrganization(general, shares);
  const pools = { general, keys, service, standing, ingest };
  return {
    as: (organizationId) => accessTo(connectionsOf(organizationId)),
    service: accessTo(service),
    keyPool: keys,
    standingPool: standing,
    ingestPool: ingest,
    pools,
    close: () => endPools(Object.values(pools)),
  };
}

/** Each flush has one, and so may the reading after the flush before; two more open and finalize streams. */
const ingestConnectionsMax = 2 * limits.flushesMax + 2;

/** Opens a pool under the role of the connection string itself. Nothing connects before the first statement. */
export function openAsOwner(connectionString: string, options: OpenOptions & { poolMax?: number }): OwnerDatabase {
  const { statementMsMax = limits.statementMsMax } = options;
  const pool = openPool(connectionString, poolOptions(options, statementMsMax, ''), { max: options.poolMax ?? 1 });
  return { pool, kysely: kyselyOn(pool), close: () => endPools([pool]) };
}

const poolOptions = ({ onIdleError }: OpenOptions, statementMsMax: number, settings: string) => ({
  onIdleError,
  statementMsMax,
  settings,
  answerMsMax: limits.answerMsMax,
  waitMsMax: limits.databaseWaitMsMax,
});

function accessTo(pool: Connections): Access {
  return {
    pool,
    get kysely() {
      return kyselyOn(pool);
    },
  };
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
 * Ingest finds all its rows by key and sends the same few statements for ever. A plan that reads a table whole, made while
 * it was small, would be kept while it grows, so such plans are ruled out; and planning anew for the parameters at hand
 * costs ten times the work itself (64 rows: 2.4 ms to plan, 0.3 ms to run).
 */
const ingestSessionOptions =
  '-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c plan_cache_mode=force_generic_plan';

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
