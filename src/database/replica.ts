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
import { keepsSessions } from './pooler.ts';
import { createPrimaryPosition, type Position, type PrimaryPosition } from './primary-position.ts';
import { type Look, lookAt, pooled, Unfit, unfitness } from './replica-look.ts';
import { createStanding, type ReplicaLog, type Standing } from './replica-standing.ts';
import { apiRole } from './roles.ts';
import { routeTo } from './route.ts';
import { hasSqlstate, sqlstateClasses, sqlstates } from './sqlstates.ts';
import { connectWithin } from './transactions.ts';

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

/** `replica`, or why the primary was read: the last two mean an interrupted statement, and a primary that gave no position. */
export const readOutcomes = [
  ...(['replica', 'lagging', 'unreachable', 'diverged', 'blind', 'pooled', 'conflict', 'unasked'] as const),
];
export type ReadOutcome = (typeof readOutcomes)[number];

type Limits = Pick<
  DatabaseLimits,
  | 'replicaConnectMsMax'
  | 'replicaWaitMsMax'
  | 'replicaLookMsMax'
  | 'replicaLookEveryMs'
  | 'replicaLagMs'
  | 'replicaRetryMs'
  | 'replicaTellMs'
>;

interface Options {
  pool: Pick<pg.Pool, 'connect'>;
  position: PrimaryPosition;
  /** Whether connections keep their sessions, as behind no pooler in transaction mode. */
  keepsSessions(): Promise<boolean>;
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
  // On a standby only the replay holds locks that keep a read waiting, and it may hold them while it stands still.
  const settings = { lock_timeout: String(limits.replicaLockMsMax) };
  const bounds = { role: apiRole, waitMsMax: limits.replicaConnectMsMax, settings };
  const pools = {
    // One more for the looks: reads that have all others must not make the replica look unreachable.
    replica: openPool(route, { ...options, ...bounds }, { max: connectionsMax + 1 }),
    position: openOnPrimary(),
  };
  const position = createPrimaryPosition(pools.position, limits.positionMsMax);
  const sessionsKept = () => keepsSessions(route, { ...limits, placeMsMax: limits.replicaConnectMsMax });
  return { replica: createReplica({ pool: pools.replica, position, keepsSessions: sessionsKept, limits }), pools };
}

export function createReplica({ pool, position, limits, now = () => performance.now(), ...ways }: Options): Replica {
  const standing = createStanding(limits, now);
  const { counts, count } = startCounting();
  const borrowed = new WeakSet<pg.PoolClient>();
  let lastLook: Look | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isWatched = false;
  const sessions = proveOnce(ways.keepsSessions);

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
    const client = await connectWithin(pool, limits.replicaConnectMsMax).catch(unreachable);
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

  const borrowNow = async () => {
    await sessions.prove();
    return borrow(await position.ask());
  };

  function leave(unfit: Unfit): void {
    standing.leave(unfit);
    sessions.forgetAfter(unfit);
    if (isWatched) lookAfter(standing.pauseMs());
  }

  async function look(): Promise<void> {
    try {
      (await borrowNow()).release();
      standing.comeBack();
    } catch (error) {
      // Without the position nothing can be said of the replica, and the primary answers or refuses the reads.
      leave(error instanceof Unfit ? error : new Unfit('unasked', unasked, { cause: error }));
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

function startCounting() {
  const counts = new Map<ReadOutcome, number>(readOutcomes.map((outcome) => [outcome, 0]));
  return { counts, count: (outcome: ReadOutcome) => void counts.set(outcome, (counts.get(outcome) ?? 0) + 1) };
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
  sqlstates.lockNotAvailable,
];

/** Two connections more, and a second behind a pooler, so it is not done with each look. */
function proveOnce(keepsSessions: () => Promise<boolean>) {
  let isProven = false;
  return {
    /** @throws Unfit */
    async prove(): Promise<void> {
      isProven ||= await keepsSessions().catch(unreachable);
      if (!isProven) throw pooled();
    },
    /** After any trouble but delay, the address may lead elsewhere. */
    forgetAfter({ fault }: Unfit): void {
      if (fault !== 'lagging') isProven = false;
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
