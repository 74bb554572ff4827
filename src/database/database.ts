import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { within } from '../lib/within.ts';
import { type Access, accessTo } from './access.ts';
import { createDisk, type Disk, type DiskOptions, diskFailure } from './disk.ts';
import { DatabaseAway, DatabaseSilent, isAway, isReadable, ServesNoMore } from './failures.ts';
import { type DatabaseLimits, databaseLimits } from './limits.ts';
import { type BindOrganization, createOrganizations } from './organizations.ts';
import { createOutage, type Outage } from './outage.ts';
import { openPool, type PoolOptions } from './pool.ts';
import { apiRole, serviceRole } from './roles.ts';
import { type Route, routeTo } from './route.ts';
import { createShares } from './shares.ts';
import { createStanding, type Standing } from './standing.ts';
import { whileAway } from './while-away.ts';

/**
 * The database as the server uses it: PostgreSQL itself lets each way see no more than is said here, by the policies of
 * migration 0007 (docs/decisions/0009-row-level-security.md).
 */
export interface Database {
  /** The way of the API: what belongs to one organization. */
  as: BindOrganization;
  /** The ways that are bound to no organization. */
  everyOrganization: EveryOrganization;
  /** Whether this server may go on with this database. */
  standing: Standing;
  /** The room on its disk. */
  disk: Disk;
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

/**
 * Ways that see the rows of every organization, by what they are for. Nothing that answers for one organization has them;
 * who does, and why, stands in docs/decisions/0021-a-handle-of-one-organization.md.
 */
export interface EveryOrganization {
  /**
   * Connections of chunks, and of initialize and finalize, so that no read keeps a chunk waiting. One flush writes for many
   * organizations; statements are sent without awaiting the last.
   */
  ingest: pg.Pool;
  /** Connections that look keys up: no read, no upkeep and no chunk keeps one waiting, and it keeps none of them. */
  keys: pg.Pool;
  /** Upkeep and commands. */
  upkeep: Access;
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
  /** Longest run of a statement; 0 for no bound. Default that of the bounds. */
  statementMsMax?: number;
  /** Bounds that differ from `databaseLimits`. */
  bounds?: Partial<DatabaseLimits> | undefined;
}

interface DatabaseOptions extends OpenOptions {
  /** Connections for what routes read and edit. */
  poolMax: number;
  /** Says where PostgreSQL has its data, when that is on this machine and to be watched. Asked once it is connected to. */
  dataFolder?: (() => string | undefined) | undefined;
  /** Its disk, and what is too little room there; without it nothing is known of it but what PostgreSQL says. */
  disk?: DiskOptions | undefined;
  /** The migrations that this program stands on, when they are others than those that it brings. */
  migrationsFolder?: URL | undefined;
}

/**
 * Opens pools on PostgreSQL 15 to 18 under the roles of roles.ts. Nothing connects before the first statement.
 * @param place its address, or a way there that is not known yet (`gate.ts`)
 * @throws AddressError
 */
export function openDatabase(place: string | Route, options: DatabaseOptions): Database {
  const bounds = { ...databaseLimits, ...options.bounds };
  const { statementMsMax = bounds.statementMsMax, poolMax } = options;
  const route = typeof place === 'string' ? routeTo(place, bounds) : place;
  const open = (role: string, max: number, more: Partial<PoolOptions> = {}, config: pg.PoolConfig = {}) =>
    openPool(route, { ...poolOptions(options, bounds, statementMsMax), role, onStarved, ...more }, { max, ...config });
  const onStarved = () => void spareOne(Object.values(pools));
  const general = open(apiRole, poolMax, { statementMsMax: Math.min(statementMsMax, bounds.readStatementMsMax) });
  const keys = open(serviceRole, bounds.keyConnectionsMax);
  const service = open(serviceRole, bounds.serviceConnectionsMax);
  const looks = open(serviceRole, bounds.standingConnectionsMax, {
    statementMsMax: Math.min(statementMsMax, bounds.standingMsMax),
    waitMsMax: bounds.standingMsMax,
  });
  const disk = createDisk(options.disk, bounds);
  const standing = createStanding({
    pool: looks,
    disk,
    dataFolder: options.dataFolder,
    migrationsFolder: options.migrationsFolder,
    ...bounds,
  });
  const ingestConfig = {
    pipeline: true,
    // A plan that was made for small tables does not outlive its connection.
    maxLifetimeSeconds: bounds.ingestConnectionSecondsMax,
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
  };
  const ingest = open(serviceRole, bounds.ingestConnectionsMax, { settings: ingestSettings }, ingestConfig);
  const now = () => performance.now();
  const outage = createOutage(ingest, {
    limits: bounds,
    now,
    obstacle: () => disk.look().then(() => diskFailure(disk)),
  });
  const shares = createShares({ ...bounds, connectionsMax: poolMax, waitMsMax: bounds.connectionWaitMsMax });
  // Requests wait for their share before they come to the pool, which has a connection for each that gets so far.
  Object.defineProperty(general, 'waitingCount', { get: shares.waitingCount });
  const pools = { general, keys, service, standing: looks, ingest };
  return {
    as: createOrganizations({ ...bounds, general: unlessRefused(general, outage, standing), shares, ingest }),
    everyOrganization: { ingest, keys, upkeep: accessTo(service) },
    standing,
    disk,
    outage,
    whileAway: (arrivedAt, attempt) => whileAway({ outage, arrivedAt, now, limits: bounds }, attempt),
    pools,
    close: () => {
      outage.close();
      return endPools(Object.values(pools), bounds.closeMsMax);
    },
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

/** Opens a pool under the role of the connection string itself. Nothing connects before the first statement. */
export function openAsOwner(connectionString: string, options: OpenOptions & { poolMax?: number }): OwnerDatabase {
  const bounds = { ...databaseLimits, ...options.bounds };
  const { statementMsMax = bounds.statementMsMax, poolMax = 2 } = options;
  const pool = openPool(routeTo(connectionString, bounds), poolOptions(options, bounds, statementMsMax), {
    max: poolMax,
  });
  return Object.assign(accessTo(pool), { close: () => endPools([pool], bounds.closeMsMax) });
}

const poolOptions = ({ onIdleError }: OpenOptions, bounds: DatabaseLimits, statementMsMax: number): PoolOptions => ({
  onIdleError,
  statementMsMax,
  answerMsMax: bounds.answerMsMax,
  waitMsMax: bounds.connectionWaitMsMax,
  sessionMsMax: bounds.sessionMsMax,
  fullPauseMs: bounds.fullPauseMs,
  fullKeepMs: bounds.fullKeepMs,
});

/** Gives back a connection that nobody uses, of a pool that has others. */
async function spareOne(pools: pg.Pool[]): Promise<void> {
  const rich = pools.find(({ idleCount, totalCount }) => idleCount > 0 && totalCount > 1);
  const client = await rich?.connect().catch(() => undefined);
  client?.release(true);
}

/** A statement that hangs is left to PostgreSQL, which ends it with its connection. */
async function endPools(pools: pg.Pool[], closeMsMax: number): Promise<void> {
  const ended = Promise.all(pools.map((pool) => (pool.ending ? undefined : pool.end())));
  await Promise.race([ended, sleep(closeMsMax, undefined, { ref: false })]);
}

/**
 * Ingest finds all its rows by key and sends the same few statements for ever. A plan that reads a table whole, made while
 * it was small, would be kept while it grows, so such plans are ruled out; and planning anew for the parameters at hand
 * costs ten times the work itself (64 rows: 2.4 ms to plan, 0.3 ms to run). A bitmap pays for many rows of one key only.
 */
const ingestSettings = {
  enable_bitmapscan: 'off',
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  plan_cache_mode: 'force_generic_plan',
};
