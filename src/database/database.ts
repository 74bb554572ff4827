import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { within } from '../lib/within.ts';
import { type Access, accessTo } from './access.ts';
import { createDisk, type Disk, type DiskOptions, diskFailure } from './disk.ts';
import { rememberDistribution } from './distribution.ts';
import { DatabaseAway, DatabaseSilent, isAway, isReadable, ServesNoMore } from './failures.ts';
import { type DatabaseLimits, databaseLimits } from './limits.ts';
import { type BindOrganization, createOrganizations, type Lender } from './organizations.ts';
import { createOutage, type Outage } from './outage.ts';
import { openPool, type PoolOptions } from './pool.ts';
import { createReadiness, type Readiness } from './readiness.ts';
import { openReplica, type Replica } from './replica.ts';
import { apiRole, serviceRole } from './roles.ts';
import { type Route, routeTo } from './route.ts';
import { createShares } from './shares.ts';
import { whileAway } from './while-away.ts';

/**
 * The database as the server uses it. PostgreSQL itself enforces what each of these pools may see, by the policies of
 * migration 0007 (docs/decisions/0009-row-level-security.md).
 */
export interface Database {
  /** The handle of one organization: what the API uses. */
  as: BindOrganization;
  /**
   * The same for one read, which may go to the replica. It shows whatever was acknowledged before its first statement. A
   * statement that writes is refused by a replica, and then runs on the primary.
   */
  readingAs: BindOrganization;
  /** Where reads go; undefined without a replica. */
  replica: Replica | undefined;
  /** Pools and accesses that are bound to no organization. */
  everyOrganization: EveryOrganization;
  /** Whether this server may go on with this database. */
  readiness: Readiness;
  /** The free space on its disk. */
  disk: Disk;
  /** Whether PostgreSQL is away, and since when. */
  outage: Outage;
  /**
   * Runs a call, and retries it while the database is away, up to `callMsMax` after its arrival (milliseconds of
   * `performance.now()`). Every attempt must have the same effect (`while-away.ts`).
   */
  whileAway<Result>(arrivedAt: number, attempt: () => Promise<Result>): Promise<Result>;
  /** Whether the tables of streams are distributed over the nodes of a cluster (`distribution.ts`). */
  isDistributed(): Promise<boolean>;
  /** For metrics. */
  pools: Record<PoolName, PoolCounts> & Partial<Record<ReplicaPoolName, PoolCounts>>;
  close(): Promise<void>;
}

/**
 * Pools and accesses that see the rows of every organization, by purpose. Code that answers for one
 * organization must not use them: docs/decisions/0021-a-handle-of-one-organization.md lists who may, and why, and
 * `test/architecture.test.ts` checks it.
 */
export interface EveryOrganization {
  /**
   * Connections for chunks, initialize and finalize, so that no read keeps a chunk waiting. One flush writes for many
   * organizations. Statements are pipelined: sent without waiting for the answer to the one before.
   */
  ingest: pg.Pool;
  /** Connections for looking up keys, and nothing else: so reads, upkeep and chunks do not delay it, nor it them. */
  keys: pg.Pool;
  /** Upkeep and commands. */
  upkeep: Access;
}

type PoolName = 'general' | 'keys' | 'upkeep' | 'readiness' | 'ingest';
type ReplicaPoolName = 'replica' | 'position';
type PoolCounts = Pick<pg.Pool, 'totalCount' | 'idleCount' | 'waitingCount'>;

/** The database as the role that owns its tables: for migrations and for making roles. */
export interface OwnerDatabase extends Access {
  pool: pg.Pool;
  close(): Promise<void>;
}

interface OpenOptions {
  /** A lost idle connection is reported here and replaced by the pool. */
  onIdleError: (error: Error) => void;
  /** Longest run of a statement; 0 for no limit. The default is that of `limits`. */
  statementMsMax?: number;
  /** Those that differ from `databaseLimits`. */
  limits?: Partial<DatabaseLimits> | undefined;
}

interface DatabaseOptions extends OpenOptions {
  /** Connections for what routes read and edit. */
  poolMax: number;
  /**
   * Says where PostgreSQL has its data, if that is on this machine and to be watched. Called once a connection has been
   * made.
   */
  dataFolder?: (() => string | undefined) | undefined;
  /** The disk of the database, and its marks. Without it, only PostgreSQL's own errors tell that the disk is full. */
  disk?: DiskOptions | undefined;
  /** The address of a streaming replica, or of a balancer before several. Without it the primary answers all reads. */
  replica?: string | undefined;
  /** The migrations that the database must have, if not those that come with this program. */
  migrationsFolder?: URL | undefined;
}

/**
 * Opens pools on PostgreSQL 15 to 18 under the roles of roles.ts. Nothing connects before the first statement.
 * @param place its address, or a route whose address is not known yet (`gate.ts`)
 * @throws AddressError
 */
export function openDatabase(place: string | Route, options: DatabaseOptions): Database {
  const limits = { ...databaseLimits, ...options.limits };
  const { statementMsMax = limits.statementMsMax, poolMax } = options;
  const route = typeof place === 'string' ? routeTo(place, limits) : place;
  const usual = poolOptions(options, limits, statementMsMax);
  const open = (role: string, max: number, more: Partial<PoolOptions> = {}, config: pg.PoolConfig = {}) =>
    openPool(route, { ...usual, role, onStarved, ...more }, { max, ...config });
  const onStarved = () => void spareOne(Object.values(pools));
  const ofReads = { statementMsMax: Math.min(statementMsMax, limits.readStatementMsMax) };
  const general = open(apiRole, poolMax, { ...ofReads, starvedMsMax: limits.readStarvedMsMax });
  const keys = open(serviceRole, limits.keyConnectionsMax);
  const upkeep = open(serviceRole, limits.upkeepConnectionsMax);
  const readinessPool = open(serviceRole, limits.readinessConnectionsMax, {
    statementMsMax: Math.min(statementMsMax, limits.readinessMsMax),
    waitMsMax: limits.readinessMsMax,
  });
  const disk = createDisk(options.disk, limits);
  const readiness = createReadiness({
    pool: readinessPool,
    disk,
    dataFolder: options.dataFolder,
    migrationsFolder: options.migrationsFolder,
    ...limits,
  });
  const ingestConfig = {
    pipeline: true,
    // A plan that was made while tables were small goes with its connection.
    maxLifetimeSeconds: limits.ingestConnectionSecondsMax,
    connectionTimeoutMillis: limits.ingestConnectMsMax,
    // A new connection must lead to the same database as the first one of this server.
    verify: (client: pg.PoolClient, done: (error?: Error) => void) =>
      void within(
        readiness.verify(client),
        limits.ingestConnectMsMax,
        () => new DatabaseSilent(limits.ingestConnectMsMax),
      )
        .then(() => done())
        .catch(done),
  };
  const ingest = open(serviceRole, limits.ingestConnectionsMax, { settings: ingestSettings }, ingestConfig);
  const now = () => performance.now();
  const outage = createOutage(ingest, {
    limits,
    now,
    obstacle: () => disk.look().then(() => diskFailure(disk)),
  });
  const shares = createShares({ ...limits, connectionsMax: poolMax, waitMsMax: limits.connectionWaitMsMax });
  // Requests wait in `shares` before they come to the pool, and the pool has a connection for each that comes.
  Object.defineProperty(general, 'waitingCount', { get: shares.waitingCount });
  const pools = { general, keys, upkeep, readiness: readinessPool, ingest };
  const refuse = refusalOf(outage, readiness);
  const primary = unlessRefused(general, outage, refuse);
  // Reads have as many connections there as on the primary, and `shares` counts both kinds together.
  const beside =
    options.replica === undefined
      ? undefined
      : openReplica(options.replica, { ...usual, ...ofReads, limits }, poolMax, () =>
          open(serviceRole, limits.positionConnectionsMax, { waitMsMax: limits.positionMsMax }),
        );
  const lendToRead = beside && (() => preferring(beside.replica, primary, refuse));
  const isDistributed = rememberDistribution(readinessPool);
  return {
    ...createOrganizations({ ...limits, general: primary, lendToRead, shares, ingest, isDistributed }),
    replica: beside?.replica,
    everyOrganization: { ingest, keys, upkeep: accessTo(upkeep) },
    readiness,
    disk,
    outage,
    isDistributed,
    whileAway: (arrivedAt, attempt) => whileAway({ outage, arrivedAt, now, limits }, attempt),
    pools: { ...pools, ...beside?.pools },
    close: () => {
      outage.close();
      return endPools([...Object.values(pools), ...Object.values(beside?.pools ?? {})], limits.closeMsMax);
    },
  };
}

/**
 * Reads are refused at once, without waiting, while the database answers nothing, or while it might show the rows of other
 * organizations.
 */
const refusalOf = (outage: Outage, readiness: Readiness) => () => {
  const refusal = readiness.readRefusal();
  if (refusal !== undefined) throw new ServesNoMore(refusal);
  if (outage.isUnreachable()) throw new DatabaseAway();
};

function unlessRefused(pool: pg.Pool, outage: Outage, refuse: () => void): Lender {
  return {
    async connect() {
      refuse();
      try {
        return await pool.connect();
      } catch (error) {
        if (isAway(error) && !isReadable(error)) outage.begin(error);
        throw error;
      }
    },
  };
}

/** For one read: connections of the replica where it shows all that it has to, and of the primary otherwise. */
function preferring(replica: Replica, primary: Lender, refuse: () => void): Lender {
  const read = replica.begin();
  return {
    async connect() {
      // Nobody knows what was acknowledged while the primary is away.
      refuse();
      return (await read.connect()) ?? primary.connect();
    },
    runsAgain: read.leavesAfter,
  };
}

/** Opens a pool under the role of the connection string itself. Nothing connects before the first statement. */
export function openAsOwner(connectionString: string, options: OpenOptions & { poolMax?: number }): OwnerDatabase {
  const limits = { ...databaseLimits, ...options.limits };
  const { statementMsMax = limits.statementMsMax, poolMax = 2 } = options;
  const pool = openPool(routeTo(connectionString, limits), poolOptions(options, limits, statementMsMax), {
    max: poolMax,
  });
  return Object.assign(accessTo(pool), { close: () => endPools([pool], limits.closeMsMax) });
}

const poolOptions = ({ onIdleError }: OpenOptions, limits: DatabaseLimits, statementMsMax: number): PoolOptions => ({
  onIdleError,
  statementMsMax,
  answerMsMax: limits.answerMsMax,
  waitMsMax: limits.connectionWaitMsMax,
  sessionMsMax: limits.sessionMsMax,
  fullPauseMs: limits.fullPauseMs,
  fullKeepMs: limits.fullKeepMs,
});

/** Closes an idle connection of a pool that has more than one. */
async function spareOne(pools: pg.Pool[]): Promise<void> {
  const rich = pools.find(({ idleCount, totalCount }) => idleCount > 0 && totalCount > 1);
  const client = await rich?.connect().catch(() => undefined);
  client?.release(true);
}

/** Does not wait for a statement that hangs: PostgreSQL ends it together with its connection. */
async function endPools(pools: pg.Pool[], closeMsMax: number): Promise<void> {
  const ended = Promise.all(pools.map((pool) => (pool.ending ? undefined : pool.end())));
  await Promise.race([ended, sleep(closeMsMax, undefined, { ref: false })]);
}

/**
 * Ingest finds all its rows by key and sends the same few statements again and again. A plan that scans a whole table
 * would be made while the table is small and kept while it grows, so such plans are disabled. Planning anew for the
 * given parameters costs ten times the work itself (64 rows: 2.4 ms to plan, 0.3 ms to run), so plans are generic. A
 * bitmap scan only pays for many rows of one key.
 */
const ingestSettings = {
  enable_bitmapscan: 'off',
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  plan_cache_mode: 'force_generic_plan',
};
