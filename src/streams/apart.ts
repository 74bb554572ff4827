import {
  CommitInDoubt,
  isConflict,
  isLockTimeout,
  isNodeAway,
  passingFailure,
  ServesNoMore,
} from '../database/failures.ts';
import { StreamClosed } from './channel-store.ts';
import type { IngestItem } from './ingest-rows.ts';
import { type IngestResult, TryAgain } from './outcomes.ts';

export type RequestOutcomes = Map<IngestItem, IngestResult | Error | TryAgain>;

export interface Apart {
  /**
   * Settles all items in one transaction, which waits at most `lockMsMax` for a lock. If it throws, nothing of them was
   * stored, except that CommitInDoubt leaves that open.
   */
  write(items: IngestItem[], lockMsMax: number): Promise<RequestOutcomes>;
  /** Finds the items with a channel that another session has locked. */
  findHeld(items: IngestItem[]): Promise<Set<IngestItem>>;
  limits: { lockMsMax: number; searchLockMsMax: number; searchTriesMax: number; conflictTriesMax: number };
}

/**
 * Settles requests together, and separates them where one of them blocks the others.
 * - An error that would come again is the error of one request. The requests are halved until that one is alone.
 * - A lock that another session holds: the requests that need it are left out and retried later.
 * - The database is away: all requests are retried later. Those of a node that is away are retried like held ones.
 */
export async function writeApart({ write, findHeld, limits }: Apart, all: IngestItem[]): Promise<RequestOutcomes> {
  let searchesLeft = limits.searchTriesMax;
  let conflictsLeft = limits.conflictTriesMax;

  async function attempt(items: IngestItem[], lockMsMax: number): Promise<RequestOutcomes> {
    if (items.length === 0) return new Map();
    try {
      return await write(items, lockMsMax);
    } catch (error) {
      if (isLockTimeout(error)) return withoutHeld(items, lockMsMax, error as Error);
      if (isConflict(error) || error instanceof StreamClosed) {
        if (conflictsLeft-- > 0) return attempt(items, lockMsMax);
        // Others were faster each time, so these are retried like those whose lock another session holds.
        return allOf(items, new TryAgain('held', error as Error));
      }
      if (passingFailure(error) !== undefined) return allOf(items, postponed(error));
      return items.length === 1 ? allOf(items, error as Error) : inHalves(items, lockMsMax);
    }
  }

  async function withoutHeld(items: IngestItem[], lockMsMax: number, error: Error): Promise<RequestOutcomes> {
    const again = new TryAgain('held', error);
    if (items.length === 1 || searchesLeft-- <= 0) return allOf(items, again);
    // The wait is short, so this is a later step of the search. The channels were checked before it, so the lock is on a
    // chunk or a stream.
    if (lockMsMax < limits.lockMsMax) return inHalves(items, lockMsMax);
    const held = await findHeld(items).catch((failure: unknown) => failure);
    if (!(held instanceof Set)) return allOf(items, isLockTimeout(held) ? again : postponed(held));
    if (held.size === 0) return inHalves(items, limits.searchLockMsMax);
    const others = items.filter((item) => !held.has(item));
    return new Map([...allOf([...held], again), ...(await attempt(others, lockMsMax))]);
  }

  async function inHalves(items: IngestItem[], lockMsMax: number): Promise<RequestOutcomes> {
    const middle = items.length >> 1;
    const first = await attempt(items.slice(0, middle), lockMsMax);
    return new Map([...first, ...(await attempt(items.slice(middle), lockMsMax))]);
  }

  return attempt(all, limits.lockMsMax);
}

/** The outcome of a request that the database could not serve: TryAgain where the reason passes, else the error. */
export const postponed = (error: unknown): Error | TryAgain =>
  error instanceof ServesNoMore
    ? error
    : new TryAgain(isNodeAway(error) ? 'held' : 'away', error as Error, error instanceof CommitInDoubt);

const allOf = (items: readonly IngestItem[], outcome: Error | TryAgain): RequestOutcomes =>
  new Map(items.map((item) => [item, outcome]));
