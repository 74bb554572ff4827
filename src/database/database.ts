import { setTimeout as sleep } from 'node:timers/promises';
import { Kysely, PostgresDialect } from 'kysely';
import type pg from 'pg';
import { limits } from '../config.ts';
import { within } from '../lib/within.ts';
import type { Access, Connections } from './access.ts';
import { DatabaseAway, DatabaseSilent, isAway, isReadable, ServesNoMore } from './failures.ts';
import { type DatabaseLimits, databaseLimits } from './limits.ts';
import { connectionsByOrganization } from './organizations.ts';
import { createOutage, type Outage } from './outage.ts';
import { openPool, type PoolOptions } from './pool.ts';
import { apiRole, organizationSetting, serviceRole } from './roles.ts';
import { type Route, routeTo } from './route.ts';
import { createShares } from './shares.ts';
import { createStanding, type Standing } from './standing.ts';
import type { Tables } from './tables.ts';
import { inOneTrip, type Patience } from './transactions.ts';
import { whileAway } from './while-away.ts';

export { inTransaction } from './transactions.ts';

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
  /** Whether this server may go on with this database. */
  standing: Standing;
  /**
   * Connections of ingest alone (chunks, initialize, finalize), so that no read keeps a chunk waiting; statements are sent
   * without awaiting the last. They see every organization.
   */
  ingestPool: pg.Pool;
  /**
   * The way of initialize and finalize: one statement on a connection of ingest, with the rows of one organization and no
   * others. @throws CommitInDoubt when the connection is lost on the way
   */
  ingestAs(organizationId: string): RunStatement;
  /** Whether PostgreSQL is away, and since when. */
  outage: Outage;
  /**
   * Runs a call again while the database is away, until so long after its arrival (milliseconds of `performance.now()`). Each
   * attempt must come to the same (`while-away.ts`).
   */
  whileAway<Result>(arrivedAt: number, attempt: () => Promise<Result>): Promise<Result>;
  /** To be counted. */
  pools: Record<PoolName, Pick<pg.Pool, 'totalCount' | 'idleCount' | 'waitingCount'>>;
  close(): Promise<void>;
}

export type RunStatement = <Row extends pg.QueryResultRow>(
  statement: pg.QueryConfig,
  patience: Patience,
) => Promise<pg.QueryResult<Row>>;

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
  /** Says where PostgreSQL has its data, when that is on this machine and to be watched. Asked once it is connected to. */
  dataFolder?: (() => string | undefined) | undefined;
  /** The migrations that this program stands on, when they are others than those that it brings. */
  migrationsFolder?: URL | undefined;
}

/**
 * Opens pools on PostgreSQL 15 to 18 under the roles of roles.ts. Nothing connects before the first statement.
 * @param place its address, or a way there that is not known yet (`gate.ts`)
 * @throws AddressError
 */
export function openDatabase(place: string | Route, options: DatabaseOptions): Database {
  const { statementMsMax = limits.statementMsMax, poolMax } = options;
  const bounds = { ...databaseLimits, ...options.bounds };
  const route = typeof place === 'string' ? routeTo(place, bounds) : place;
  const open = (role: string, max: number, more: Partial<PoolOptions> = {}, config: pg.PoolConfig = {}) =>
    openPool(route, { ...poolOptions(options, statementMsMax, bounds), role, onStarved, ...more }, { max, ...config });
  const onStarved = () => void spareOne(Object.values(pools));
  const general = open(apiRole, poolMax, { statementMsMax: Math.min(statementMsMax, bounds.readStatementMsMax) });
  const keys = open(serviceRole, bounds.keyConnectionsMax);
  const service = open(serviceRole, limits.serviceConnectionsMax);
  const looks = open(serviceRole, bounds.standingConnectionsMax, {
    statementMsMax: Math.min(statementMsMax, bounds.standingMsMax),
    waitMsMax: bounds.standingMsMax,
  });
  const standing = createStanding({
    pool: looks,
    dataFolder: options.dataFolder,
    migrationsFolder: options.migrationsFolder,
    ...bounds,
  });
  const ingestConfig = {
    pipeline: true,
    // A plan that was made for small tables does not outlive its connection.
    maxLifetimeSeconds: limits.ingestConnectionSecondsMax,
    connectionTimeoutMillis: bounds.ingestConnectMsMax,
    // A connection that comes back must lead to the database that this server has begun with.
    verify: (client: pg.PoolClient, done: (error?: Error) => void) =>
      void within(
        standing.verify(client),
        bounds.ingestConnectMsMax,
        () => new DatabaseSilent(bounds.ingestConnectMsMax),
      )
        .then(() => done())
        .catch(done),
  } as pg.PoolConfig;
  const ingest = open(serviceRole, ingestConnectionsMax, { settings: ingestSettings }, ingestConfig);
  const now = () => performance.now();
  const outage = createOutage(ingest, { limits: bounds, now });
  const shares = createShares({ ...bounds, connectionsMax: poolMax, waitMsMax: limits.databaseWaitMsMax });
  // Requests wait for their share before they come to the pool, which has a connection for each that gets so far.
  Object.defineProperty(general, 'waitingCount', { get: shares.waitingCount });
  const connectionsOf = connectionsByOrganization(unlessRefused(general, outage, standing), shares);
  const pools = { general, keys, service, standing: looks, ingest };
  return {
    as: (organizationId) => accessTo(connectionsOf(organizationId)),
    service: accessTo(service),
    keyPool: keys,
    standing,
    ingestPool: ingest,
    ingestAs: (organizationId) => runAs(ingest, organizationId),
    outage,
    whileAway: (arrivedAt, attempt) => whileAway({ outage, arrivedAt, now, limits: bounds }, attempt),
    pools,
    close: () => {
      outage.close();
      return endPools(Object.values(pools));
    },
  };
}

/** Names the role and the organization for one transaction, and sends the statement along. */
function runAs(pool: pg.Pool, organizationId: string): RunStatement {
  const nameOrganization = {
    name: 'name_organization_once',
    text: `select set_config('role', '${apiRole}', true), set_config('${organizationSetting}', $1::text, true)`,
    values: [organizationId],
  };
  return async <Row extends pg.QueryResultRow>(statement: pg.QueryConfig, patience: Patience) => {
    const [, answer] = await inOneTrip<[unknown, pg.QueryResult<Row>]>(
      pool,
      (client) => [client.query(nameOrganization), client.query<Row>(statement)],
      patience,
    );
    return answer;
  };
}

/**
 * Connections that are refused at once while the database answers nothing, instead of after the wait for one; and while it
 * would show the rows of others.
 */
function unlessRefused(pool: pg.Pool, outage: Outage, standing: Standing): Pick<pg.Pool, 'connect'> {
  return {
    async connect() {
      const refusal = standing.readRefusal();
      if (refusal !== undefined) throw new ServesNoMore(refusal);
      if (outage.isUnreachable()) throw new DatabaseAway();
      try {
        return await pool.connect();
      } catch (error) {
        if (isAway(error) && !isReadable(error)) outage.begin(error);
        throw error;
      }
    },
  };
}

/** Each flush has one, and so may the reading after the flush before; two more open and finalize streams. */
const ingestConnectionsMax = 2 * limits.flushesMax + 2;

/** Opens a pool under the role of the connection string itself. Nothing connects before the first statement. */
export function openAsOwner(connectionString: string, options: OpenOptions & { poolMax?: number }): OwnerDatabase {
  const { statementMsMax = limits.statementMsMax } = options;
  const route = routeTo(connectionString);
  const pool = openPool(route, poolOptions(options, statementMsMax, databaseLimits), { max: options.poolMax ?? 2 });
  return { pool, kysely: kyselyOn(pool), close: () => endPools([pool]) };
}

const poolOptions = ({ onIdleError }: OpenOptions, statementMsMax: number, bounds: DatabaseLimits): PoolOptions => ({
  onIdleError,
  statementMsMax,
  answerMsMax: limits.answerMsMax,
  waitMsMax: limits.databaseWaitMsMax,
  sessionMsMax: bounds.sessionMsMax,
  fullPauseMs: bounds.fullPauseMs,
  fullKeepMs: bounds.fullKeepMs,
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

/** Gives back a connection that nobody uses, of a pool that has others. */
async function spareOne(pools: pg.Pool[]): Promise<void> {
  const rich = pools.find(({ idleCount, totalCount }) => idleCount > 0 && totalCount > 1);
  const client = await rich?.connect().catch(() => undefined);
  client?.release(true);
}

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
const ingestSettings = {
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  plan_cache_mode: 'force_generic_plan',
};
