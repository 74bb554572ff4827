import type { Database } from '../database/database.ts';
import { isConflict, isLockTimeout, passingFailure } from '../database/failures.ts';
import { postponed, type Settled, settleApart } from './apart.ts';
import { TryAgain } from './batcher.ts';
import { findHeldRows } from './channel-store.ts';
import { type OnCommitted, tellAll } from './committed.ts';
import { settleDoubt } from './doubt.ts';
import { createKnownChannels, type KnownChannels } from './known-channels.ts';
import type { StreamLimits } from './limits.ts';
import { createGrace, type Means } from './means.ts';
import { byRequest, type IngestResult } from './outcomes.ts';
import type { IngestItem } from './rows.ts';
import { insertNew, rowsOf, settle } from './settle.ts';
import { createTouch } from './touch.ts';

/*
 * One flush of the batcher: settles the chunks of many requests. Those that lie beyond what this process has written before,
 * nearly all, take one transaction in one trip; the others a plain read first, and at most one transaction.
 *
 * What it guarantees:
 * - A result is given after the commit that holds the chunk. All channels of one request are stored, or none.
 * - Identical content changes nothing, locks nothing and writes nothing; other content replaces the same slice.
 * - Counters are exact, whoever writes at the same time: channels are locked, in one order for everybody, before their
 *   chunks are touched (docs/decisions/0001-lock-channels-first.md).
 * - It waits for nobody for long: what cannot be settled now is said to be tried again, and nothing of it has been stored,
 *   unless it is said to be in doubt (docs/decisions/0012-waiting-for-postgresql.md).
 */

/** Settles some requests: one outcome for each, in order; nothing is stored of what has an error. */
export type Flush = (items: IngestItem[]) => Promise<(IngestResult | Error | TryAgain)[]>;

interface FlushOptions {
  database: Database;
  /** How long after its finalize a stream takes late chunks. */
  graceSeconds: number;
  limits: StreamLimits;
  /** Milliseconds, on the clock of `arrivedAt`. */
  now(): number;
  /** What is known of the channels; nothing by default. Whoever gives it forgets it when a connection is lost. */
  known?: KnownChannels;
  /** Who else is told of what has been committed. */
  listeners?: readonly OnCommitted[];
  /** Is given what one of those throws. */
  report?(error: unknown): void;
}

/** How to settle requests, of which no two write the same slice. What it remembers is of this process alone. */
export function createFlush({ listeners = [], report = () => {}, ...given }: FlushOptions): Flush {
  const { database, graceSeconds, limits, now } = given;
  const pool = database.everyOrganization.ingest;
  const known = given.known ?? createKnownChannels(limits.knownChannelsMax);
  const grace = createGrace(graceSeconds, now);
  const touch = createTouch({ pool, patience: limits, delayMs: limits.touchDelayMs });
  const onCommitted = tellAll([known.note, touch, ...listeners], report);
  const means = (lockMsMax: number): Means => ({
    ...{ pool, known, grace, onCommitted, limits },
    patience: { ...limits, lockMsMax },
  });
  const findHeld = (items: IngestItem[]) => heldAmong(means(limits.searchLockMsMax), items);
  const apart = (items: IngestItem[], how: (means: Means, items: IngestItem[]) => Promise<Settled>) =>
    settleApart({ settle: (some, lockMsMax) => how(means(lockMsMax), some), findHeld, limits }, items);

  async function flush(items: IngestItem[]) {
    const fresh = items.filter(({ inDoubtSince }) => inDoubtSince === undefined);
    const settled = await writeAhead(means(limits.lockMsMax), fresh, findHeld);
    const absence = [...settled.values()].find((outcome) => outcome instanceof TryAgain && outcome.why === 'away');
    if (absence instanceof TryAgain) {
      const again = new TryAgain('away', absence.cause);
      return items.map((item) => settled.get(item) ?? again);
    }
    const rest = fresh.filter((item) => !settled.has(item));
    for (const [item, outcome] of await apart(rest, settle)) settled.set(item, outcome);
    const doubtful = items.filter(({ inDoubtSince }) => inDoubtSince !== undefined);
    const look = (some: Means, ofThem: IngestItem[]) => settleDoubt(some, ofThem, now);
    for (const [item, outcome] of await apart(doubtful, look)) settled.set(item, outcome);
    return items.map((item) => settled.get(item) as IngestResult | Error | TryAgain);
  }

  return async (items) => {
    const outcomes = await flush(items);
    if (outcomes.some((outcome) => outcome instanceof TryAgain && outcome.why === 'away')) known.forgetAll();
    return outcomes;
  };
}

/** Forgets whenever a connection is lost. @returns what ends that */
export function forgetWithConnections(known: KnownChannels, { everyOrganization: { ingest } }: Database): () => void {
  ingest.on('error', known.forgetAll);
  return () => void ingest.off('error', known.forgetAll);
}

type FindHeld = (items: IngestItem[]) => Promise<Set<IngestItem>>;

/**
 * Writes what lies beyond all that this process has written, without a look at what stands there. What it does not settle,
 * it has not stored.
 */
async function writeAhead(means: Means, items: IngestItem[], findHeld: FindHeld): Promise<Settled> {
  const { known, onCommitted } = means;
  const rows = items.flatMap((item) => known.place(item) ?? []);
  if (rows.length === 0) return new Map();
  const sent = [...new Set(rows.map(({ item }) => item))];
  try {
    const stored = await insertNew(means, rows);
    onCommitted(stored);
    return byRequest(stored);
  } catch (error) {
    if (isLockTimeout(error)) {
      const held = await findHeld(sent).catch(() => new Set<IngestItem>());
      if (held.size === 0) return new Map();
      const again = new TryAgain('held', error as Error);
      const others = await writeAhead(
        means,
        sent.filter((item) => !held.has(item)),
        findHeld,
      );
      return new Map([...[...held].map((item) => [item, again] as const), ...others]);
    }
    known.forget(rows);
    // Whoever looks finds out what it was, unless the database is away: then it is another time for all.
    if (passingFailure(error) === undefined || isConflict(error)) return new Map();
    const outcome = postponed(error);
    return new Map(sent.map((item) => [item, outcome]));
  }
}

/** Those of which a channel is locked by somebody else. */
async function heldAmong(means: Means, items: IngestItem[]): Promise<Set<IngestItem>> {
  const rows = rowsOf(items);
  const held = await findHeldRows(means, rows);
  return new Set(rows.filter((_, i) => held.has(i)).map(({ item }) => item));
}
