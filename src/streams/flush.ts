import type { Database } from '../database/database.ts';
import { isConflict, isLockTimeout, passingFailure } from '../database/failures.ts';
import { groupBy } from '../lib/group-by.ts';
import { createPlaces } from '../lib/places.ts';
import { postponed, type RequestOutcomes, writeApart } from './apart.ts';
import { findHeldRows } from './channel-store.ts';
import { type OnCommitted, tellAll } from './committed.ts';
import { resolveDoubt } from './doubt.ts';
import { createGrace, type FlushDependencies } from './flush-dependencies.ts';
import type { IngestItem } from './ingest-rows.ts';
import { createKnownChannels, type KnownChannels } from './known-channels.ts';
import type { StreamLimits } from './limits.ts';
import { byRequest, type IngestResult, TryAgain } from './outcomes.ts';
import type { Form } from './statement-forms.ts';
import { createTouch } from './touch.ts';
import { insertNew, rowsOf, writeAfterLookup } from './write-chunks.ts';

/*
 * One flush of the batcher: writes the chunks of many requests, and gives each request its outcome. The fast path is for nearly all of them, the chunks
 * beyond the highest index that this process has written: one transaction in one round trip. The slow path reads first,
 * creates the channels that are new, and writes the rest in one transaction. Where all chunks are new, it tries the
 * statement of the fast path before that.
 *
 * What it guarantees:
 * - A result is given after the commit that holds the chunk. All channels of one request are stored, or none.
 * - Identical content changes nothing and writes nothing; where the slow path sees it, it takes no lock either. Other
 *   content replaces the same slice.
 * - Counters are exact, however many write at the same time: every transaction locks the channels, in the same order,
 *   before it touches their chunks (docs/decisions/0001-lock-channels-first.md).
 * - It never waits long. A request that cannot be written now comes back as TryAgain; nothing of it has been stored, unless
 *   TryAgain says that it is in doubt (docs/decisions/0012-waiting-for-postgresql.md).
 */

/** Writes requests: one outcome for each, in order. Nothing is stored of a request that gets an error. */
export type Flush = (items: IngestItem[]) => Promise<(IngestResult | Error | TryAgain)[]>;

interface FlushOptions {
  database: Database;
  /** How long after its finalize a stream takes late chunks. */
  graceSeconds: number;
  limits: StreamLimits;
  /** Milliseconds, on the clock of `arrivedAt`. */
  now(): number;
  /** The cache of channels; an empty one by default. Whoever passes one clears it when a connection is lost. */
  known?: KnownChannels;
  /** Called with what has been committed. */
  listeners?: readonly OnCommitted[];
  /** Called with what a listener throws. */
  report?(error: unknown): void;
}

/**
 * For each transaction in a cluster: a node sees no settings of the session. So it looks channels up by their index, in the
 * order in which all transactions lock them, as one PostgreSQL does (`ingestSettings` of database.ts).
 */
const nodeSettings = { enable_seqscan: 'off', enable_hashjoin: 'off', enable_mergejoin: 'off' };

/**
 * Makes a Flush. The caller never passes two requests for one slice (the batcher sees to it). What it remembers is local to this process.
 */
export function createFlush({ listeners = [], report = () => {}, ...given }: FlushOptions): Flush {
  const { database, graceSeconds, limits: all, now } = given;
  const pool = database.everyOrganization.ingest;
  const known = given.known ?? createKnownChannels(all.knownChannelsMax);
  const grace = createGrace(graceSeconds, now);
  const touch = createTouch({
    pool,
    patience: all,
    delayMs: all.touchDelayMs,
    isDistributed: database.isDistributed,
  });
  const onCommitted = tellAll([known.note, touch, ...listeners], report);
  const inPlace = createPlaces(all.streamsAtATimeMax);

  async function flush(items: IngestItem[], form: Form) {
    const limits = form === 'one stream' ? { ...all, lockMsMax: all.clusterLockMsMax } : all;
    const deps = (lockMsMax: number): FlushDependencies => ({
      ...{ pool, known, grace, onCommitted, limits, form },
      patience: { ...limits, lockMsMax, ...(form === 'one stream' && { settings: nodeSettings }) },
    });
    const findHeld = (some: IngestItem[]) => heldAmong(deps(limits.searchLockMsMax), some);
    const apart = (
      some: IngestItem[],
      how: (deps: FlushDependencies, items: IngestItem[]) => Promise<RequestOutcomes>,
    ) => writeApart({ write: (part, lockMsMax) => how(deps(lockMsMax), part), findHeld, limits }, some);
    const fresh = items.filter(({ inDoubtSince }) => inDoubtSince === undefined);
    const outcomes = await writeAhead(deps(limits.lockMsMax), fresh, findHeld);
    const absence = [...outcomes.values()].find((outcome) => outcome instanceof TryAgain && outcome.why === 'away');
    if (absence instanceof TryAgain) {
      const again = new TryAgain('away', absence.cause);
      return items.map((item) => outcomes.get(item) ?? again);
    }
    const rest = fresh.filter((item) => !outcomes.has(item));
    for (const [item, outcome] of await apart(rest, writeAfterLookup)) outcomes.set(item, outcome);
    const doubtful = items.filter(({ inDoubtSince }) => inDoubtSince !== undefined);
    const look = (some: FlushDependencies, ofThem: IngestItem[]) => resolveDoubt(some, ofThem, now);
    for (const [item, outcome] of await apart(doubtful, look)) outcomes.set(item, outcome);
    return items.map((item) => outcomes.get(item) as IngestResult | Error | TryAgain);
  }

  /** Each stream by itself, so that each transaction is the matter of one node. */
  async function flushByStream(items: IngestItem[]) {
    const outcomes: RequestOutcomes = new Map();
    const ofStream = async (some: IngestItem[]) => {
      const [{ organizationId }] = some as [IngestItem];
      const ofThem = await inPlace(organizationId, () => flush(some, 'one stream'));
      some.forEach((item, i) => void outcomes.set(item, ofThem[i] as IngestResult | Error | TryAgain));
    };
    await Promise.all([...groupBy(items, ({ dataId }) => dataId).values()].map(ofStream));
    return items.map((item) => outcomes.get(item) as IngestResult | Error | TryAgain);
  }

  async function flushAll(items: IngestItem[]) {
    const isDistributed = await database.isDistributed().catch(postponed);
    if (typeof isDistributed !== 'boolean') return items.map(() => isDistributed);
    return isDistributed ? flushByStream(items) : flush(items, 'any streams');
  }

  return async (items) => {
    const outcomes = await flushAll(items);
    if (outcomes.some((outcome) => outcome instanceof TryAgain && outcome.why === 'away')) known.forgetAll();
    return outcomes;
  };
}

/** Clears the cache whenever a connection is lost. @returns a function that stops this */
export function forgetWithConnections(known: KnownChannels, { everyOrganization: { ingest } }: Database): () => void {
  ingest.on('error', known.forgetAll);
  return () => void ingest.off('error', known.forgetAll);
}

type FindHeld = (items: IngestItem[]) => Promise<Set<IngestItem>>;

/**
 * The fast path: writes chunks beyond the highest index that this process has written, without a read before. It stores
 * nothing of the requests for which it returns no outcome.
 */
async function writeAhead(deps: FlushDependencies, items: IngestItem[], findHeld: FindHeld): Promise<RequestOutcomes> {
  const { known, onCommitted } = deps;
  const rows = items.flatMap((item) => known.rowsIfNew(item) ?? []);
  if (rows.length === 0) return new Map();
  const sent = [...new Set(rows.map(({ item }) => item))];
  try {
    const stored = await insertNew(deps, rows);
    onCommitted(stored);
    return byRequest(stored);
  } catch (error) {
    if (isLockTimeout(error)) {
      const held = await findHeld(sent).catch(() => new Set<IngestItem>());
      if (held.size === 0) return new Map();
      const again = new TryAgain('held', error as Error);
      const others = await writeAhead(
        deps,
        sent.filter((item) => !held.has(item)),
        findHeld,
      );
      return new Map([...[...held].map((item) => [item, again] as const), ...others]);
    }
    known.forget(rows);
    // The slow path finds the reason. But if the database is away, all requests are retried later.
    if (passingFailure(error) === undefined || isConflict(error)) return new Map();
    const outcome = postponed(error);
    return new Map(sent.map((item) => [item, outcome]));
  }
}

/** The items with a channel that another session has locked. */
async function heldAmong(deps: FlushDependencies, items: IngestItem[]): Promise<Set<IngestItem>> {
  const rows = rowsOf(items);
  const held = await findHeldRows(deps, rows);
  return new Set(rows.filter((_, i) => held.has(i)).map(({ item }) => item));
}
