/**
 * Reads from a streaming replica that show all that was acknowledged before they began
 * (docs/decisions/0060-reads-from-a-replica.md). What cannot be read there is read from the primary.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { isReadTimeout } from './driver.ts';
import { isConnectionLoss } from './failures.ts';
import type { DatabaseLimits } from './limits.ts';
import { openPool, type PoolOptions } from './pool.ts';
import { createPrimaryPosition, type Position, type PrimaryPosition } from './primary-position.ts';
import { type Look, lookAt, type ReplicaFault, Unfit, unfitness } from './replica-look.ts';
import { apiRole } from './roles.ts';
import { routeTo } from './route.ts';
import { hasSqlstate, sqlstateClasses, sqlstates } from './sqlstates.ts';

export interface Replica {
  /** For one read, before its first statement. */
  begin(): ReplicaRead;
  /**
   * A connection that shows all that was acknowledged until now.
   * @throws Unfit; the error of the primary when it gives no position
   */
  borrow(): Promise<pg.PoolClient>;
  /** Looks at the replica again and again. Without it no read uses the replica. @returns what ends it */
  watch(log: ReplicaLog): () => void;
  /** Why reads go to the primary, in a sentence; undefined while the replica is used. */
  warning(): string | undefined;
  /** What the last look has found. */
  lag(): { bytes: number; seconds: number } | undefined;
  /** Reads by where they went. */
  counts(): ReadonlyMap<ReadOutcome, number>;
}

export interface ReplicaRead {
  /** A connection that shows all that was acknowledged before; undefined when the primary has to be read. */
  connect(): Promise<pg.PoolClient | undefined>;
  /**
   * Whether a statement has failed because it ran on the replica. Then the rest of the read goes to the primary, and the
   * same statement may run again.
   */
  leavesAfter(client: pg.PoolClient, error: unknown): boolean;
}

export interface ReplicaLog {
  info(about: object, message: string): void;
  warn(about: object, message: string): void;
}

/** `replica`, or why the primary was read: the last two mean an interrupted statement, and a primary that gave no position. */
export const readOutcomes = ['replica', 'lagging', 'unreachable', 'diverged', 'blind', 'conflict', 'unasked'] as const;
export type ReadOutcome = (typeof readOutcomes)[number];

type Limits = Pick<
  DatabaseLimits,
  'replicaWaitMsMax' | 'replicaLookMsMax' | 'replicaLookEveryMs' | 'replicaLagMs' | 'replicaRetryMs' | 'replicaTellMs'
>;

interface Options {
  pool: Pick<pg.Pool, 'connect'>;
  position: PrimaryPosition;
  limits: Limits;
  /** Milliseconds from any origin. */
  now?: () => number;
}

/**
 * Opens the pools of a replica. Nothing connects before `watch`.
 * @param address as DATABASE_URL
 * @param openOnPrimary opens the pool that asks the primary for its position
 * @throws AddressError
 */
export function openReplica(
  address: string,
  { limits, ...options }: PoolOptions & { limits: DatabaseLimits },
  connectionsMax: number,
  openOnPrimary: () => pg.Pool,
): { replica: Replica; pools: Record<'replica' | 'position', pg.Pool> } {
  const route = routeTo(address, { placeMsMax: limits.replicaConnectMsMax });
  const bounds = { role: apiRole, waitMsMax: limits.replicaConnectMsMax };
  const pools = {
    replica: openPool(route, { ...options, ...bounds }, { max: connectionsMax }),
    position: openOnPrimary(),
  };
  const position = createPrimaryPosition(pools.position, limits.positionMsMax);
  return { replica: createReplica({ pool: pools.replica, position, limits }), pools };
}

export function createReplica({ pool, position, limits, now = () => performance.now() }: Options): Replica {
  const standing = createStanding(limits, now);
  const counts = new Map<ReadOutcome, number>(readOutcomes.map((outcome) => [outcome, 0]));
  const count = (outcome: ReadOutcome) => counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  const borrowed = new WeakSet<pg.PoolClient>();
  let lastLook: Look | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isWatched = false;

  /** @throws Unfit when it is not at the position in time */
  async function untilThere(client: pg.PoolClient, target: Position): Promise<Look> {
    const deadline = now() + limits.replicaWaitMsMax;
    for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
      const look = await lookAt(client, target, limits.replicaLookMsMax).catch(unreachable);
      // The first of several says how far behind it was when it was asked.
      if (pauseMs === 1) lastLook = look;
      const unfit = unfitness(look, target);
      if (unfit === undefined) return look;
      if (unfit.fault !== 'lagging' || now() + pauseMs > deadline) throw unfit;
      await sleep(pauseMs);
    }
  }

  /** @param seen the servers that the read has used */
  async function borrow(target: Position, seen = new Set<string>()): Promise<pg.PoolClient> {
    const client = await pool.connect().catch(unreachable);
    try {
      const { server } = await untilThere(client, target);
      const isSame = seen.size === 0 || (seen.size === 1 && seen.has(server));
      seen.add(server);
      // Another server may be behind what the read has already seen. The primary is never behind a replica.
      if (!isSame) await untilThere(client, await position.ask());
      borrowed.add(client);
      return client;
    } catch (error) {
      // The next connection may lead to a better server.
      client.release(error as Error);
      throw error;
    }
  }

  const borrowNow = async () => borrow(await position.ask());

  function leave(unfit: Unfit): void {
    standing.leave(unfit);
    if (isWatched) lookAfter(standing.pauseMs());
  }

  async function look(): Promise<void> {
    try {
      (await borrowNow()).release();
      standing.comeBack();
    } catch (error) {
      // Without the position nothing can be said of the replica, and the primary answers or refuses the reads.
      standing.leave(error instanceof Unfit ? error : new Unfit('unasked', unasked, { cause: error }));
    }
    if (isWatched) lookAfter(standing.pauseMs());
  }

  function lookAfter(ms: number): void {
    clearTimeout(timer);
    timer = setTimeout(look, ms);
    timer.unref();
  }

  return {
    borrow: borrowNow,
    begin: () => beginRead({ standing, position, borrow, leave, count, borrowed }),
    watch(log) {
      standing.tellTo(log);
      isWatched = true;
      lookAfter(0);
      return () => {
        isWatched = false;
        clearTimeout(timer);
      };
    },
    warning: standing.warning,
    lag: () => lastLook && { bytes: Math.max(0, lastLook.bytesBehind ?? 0), seconds: secondsBehind(lastLook) },
    counts: () => counts,
  };
}

/** While nothing is written, the last replayed transaction gets older, and nothing lags. */
const secondsBehind = ({ bytesBehind, seconds }: Look) => ((bytesBehind ?? 1) > 0 ? (seconds ?? 0) : 0);

interface ReadParts {
  standing: Standing;
  position: PrimaryPosition;
  borrow(target: Position, seen: Set<string>): Promise<pg.PoolClient>;
  leave(unfit: Unfit): void;
  count(outcome: ReadOutcome): void;
  borrowed: WeakSet<pg.PoolClient>;
}

/**
 * A read that has gone to the primary stays there. Its later statements would otherwise have to find out anew whether the
 * replica shows what its earlier ones have seen.
 */
function beginRead({ standing, position, borrow, leave, count, borrowed }: ReadParts): ReplicaRead {
  const seen = new Set<string>();
  let target: Promise<Position> | undefined;
  let isOnPrimary = false;
  let isCounted = false;
  const goToPrimary = (why: ReadOutcome) => {
    if (!isOnPrimary) count(why);
    isOnPrimary = true;
  };
  return {
    async connect() {
      const fault = standing.fault();
      if (fault !== undefined) goToPrimary(fault);
      if (isOnPrimary) return undefined;
      try {
        target ??= position.ask();
        const client = await borrow(await target, seen);
        if (!isCounted) count('replica');
        isCounted = true;
        return client;
      } catch (error) {
        if (error instanceof Unfit) leave(error);
        goToPrimary(error instanceof Unfit ? error.fault : 'unasked');
        return undefined;
      }
    },
    leavesAfter(client, error) {
      if (!borrowed.has(client) || !isOfReplica(error)) return false;
      const isLost = isConnectionLoss(error as Error) || isReadTimeout(error);
      if (isLost) leave(asUnreachable(error));
      goToPrimary(isLost ? 'unreachable' : 'conflict');
      return true;
    },
  };
}

/** Whether the same statement may succeed on the primary: a conflict with the replay, or a trouble of that machine. */
const isOfReplica = (error: unknown) =>
  isConnectionLoss(error as Error) || isReadTimeout(error) || hasSqlstate(error, ...statesOfReplica);

const statesOfReplica = [
  sqlstateClasses.transactionRollback,
  sqlstateClasses.insufficientResources,
  sqlstateClasses.systemError,
  sqlstateClasses.internalError,
  sqlstates.readOnlySqlTransaction,
];

interface Standing {
  /** Why the replica is not used now. */
  fault(): ReplicaFault | undefined;
  warning(): string | undefined;
  leave(unfit: Unfit): void;
  comeBack(): void;
  /** Until the next look. */
  pauseMs(): number;
  tellTo(log: ReplicaLog): void;
}

/** Whether the replica is used, and the lines of the log about it: at most one departure in `replicaTellMs`. */
function createStanding(limits: Limits, now: () => number): Standing {
  let left: Unfit | undefined = new Unfit('unreachable', 'The replica has not been looked at yet.');
  let log: ReplicaLog | undefined;
  let told: ReplicaFault | 'used' | undefined;
  let toldAt = Number.NEGATIVE_INFINITY;
  return {
    fault: () => left?.fault,
    warning: () => left && `Reads go to the primary: ${left.message}`,
    leave(unfit) {
      left = unfit;
      if (told === unfit.fault || (told === 'used' && now() - toldAt < limits.replicaTellMs)) return;
      told = unfit.fault;
      toldAt = now();
      const reason = unfit.cause instanceof Error ? { reason: unfit.cause.message } : {};
      log?.warn({ replica: unfit.message, ...reason }, 'reads go to the primary');
    },
    comeBack() {
      left = undefined;
      if (told === 'used') return;
      told = 'used';
      log?.info({}, 'reads go to the replica');
    },
    pauseMs() {
      if (left === undefined) return limits.replicaLookEveryMs;
      return left.fault === 'lagging' ? limits.replicaLagMs : limits.replicaRetryMs;
    },
    tellTo(given) {
      log = given;
    },
  };
}

const longestPauseMs = 16;

const unasked = 'The primary does not say how far its log is; the log of the server says why.';

const asUnreachable = (cause: unknown) =>
  new Unfit('unreachable', 'The replica cannot be reached; the log of the server says why.', { cause });

function unreachable(error: unknown): never {
  throw asUnreachable(error);
}
