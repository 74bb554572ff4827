import type pg from 'pg';
import { limits } from '../config.ts';
import { type Database, inOneTrip, inTransaction } from '../database/database.ts';
import { passingFailure } from '../database/failures.ts';
import { ApiError, invalid, notFound } from '../errors.ts';
import { findChannels, insertChannels, lockChannels, lockOpenChannels, recountChannels } from './channel-store.ts';
import type { ChunkImage } from './chunk-image.ts';
import {
  type InsertedChunks,
  insertChunks,
  insertNewChunks,
  readAddresses,
  readStoredChunks,
  replaceChunks,
  type StoredChunk,
} from './chunk-store.ts';
import { createKnownChannels, type KnownChannels } from './known-channels.ts';
import {
  channelKey,
  type FoundRow,
  hasExactOffsets,
  type IngestItem,
  type PlacedRow,
  type Row,
  sliceOf,
} from './rows.ts';
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
 */

export type Outcome = 'created' | 'unchanged' | 'replaced';

export interface Stored {
  outcome: Outcome;
  /** Points that are now stored for the channel. */
  totalPoints: number;
}

/** By channel name. */
export type IngestResult = Map<string, Stored>;

/** Settles some requests: one result or one error for each, in order; nothing is stored of what has an error. */
export type Flush = (items: IngestItem[]) => Promise<(IngestResult | Error)[]>;

type Settled = Map<IngestItem, IngestResult | Error>;

interface Means {
  database: Database;
  /** How long after its finalize a stream takes late chunks. */
  graceSeconds: number;
  known: KnownChannels;
  /** Is told of rows that have been written. */
  touch(rows: readonly PlacedRow[]): void;
}

/** How to settle requests, of which no two write the same slice. What it remembers is of this process alone. */
export function createFlush(database: Database, graceSeconds: number): Flush {
  const known = createKnownChannels(limits.knownChannelsMax);
  const means = { database, graceSeconds, known, touch: createTouch(database) };
  return async (items) => {
    const settled = await writeAhead(means, items);
    const rest = items.filter((item) => !settled.has(item));
    for (const [item, result] of await settleApart(means, rest)) settled.set(item, result);
    return items.map((item) => settled.get(item) as IngestResult | Error);
  };
}

/**
 * Writes what lies beyond all that this process has written, without a look at what stands there. What it does not settle,
 * it has not stored.
 */
async function writeAhead({ database, graceSeconds, known, touch }: Means, items: IngestItem[]): Promise<Settled> {
  const rows = items.flatMap((item) => known.place(item) ?? []);
  if (rows.length === 0) return new Map();
  try {
    const stored = await insertInOneTrip(database, rows, (client) => lockOpenChannels(client, rows, graceSeconds));
    known.note(rows);
    touch(rows);
    return byRequest(stored);
  } catch (error) {
    known.forget(rows);
    // Whoever looks finds out what it was, unless the database is away: that is the error of all.
    if (passingFailure(error) === undefined) return new Map();
    return new Map(items.map((item) => [item, error as Error]));
  }
}

/**
 * Settles requests after a look at what stands there. An error that would come again splits them, so that the request that
 * causes it fails alone; one that passes, as when the database is away, is that of all.
 */
async function settleApart(means: Means, items: IngestItem[]): Promise<Settled> {
  if (items.length === 0) return new Map();
  try {
    return await settle(means, items);
  } catch (error) {
    if (items.length === 1 || passingFailure(error) !== undefined) {
      return new Map(items.map((item) => [item, error as Error]));
    }
    const middle = items.length >> 1;
    const first = await settleApart(means, items.slice(0, middle));
    return new Map([...first, ...(await settleApart(means, items.slice(middle)))]);
  }
}

/** All requests in one transaction. @throws when it fails: then nothing of any of them is stored */
async function settle({ database, graceSeconds, known, touch }: Means, items: IngestItem[]): Promise<Settled> {
  const rows = items.flatMap((item) =>
    item.arrivals.map(({ channelName, image }): Row => ({ item, channelName, image })),
  );
  const found = await readAddresses(database, rows, graceSeconds);
  const settled: Settled = new Map();
  const writes: FoundRow[] = [];
  let next = 0;
  for (const item of items) {
    const own = found.slice(next, next + item.arrivals.length);
    next += own.length;
    const result = settleByReading(item, own);
    if (result === undefined) writes.push(...own);
    else settled.set(item, result);
  }
  if (writes.length === 0) return settled;
  const placed = await place(database, writes);
  const areNew = writes.every(({ standing }) => standing.isSame === null);
  const stored =
    (areNew ? await writeNewRows(database, placed) : undefined) ??
    (await inTransaction(database.ingestPool, (client) => writeRows(client, placed)));
  known.note(stored.filter(({ outcome }) => outcome === 'created'));
  touch(placed);
  return new Map([...settled, ...byRequest(stored)]);
}

function byRequest(stored: readonly (PlacedRow & Stored)[]): Map<IngestItem, IngestResult> {
  const results = new Map<IngestItem, IngestResult>();
  for (const { item, channelName, outcome, totalPoints } of stored) {
    const result = results.get(item);
    if (result === undefined) results.set(item, new Map([[channelName, { outcome, totalPoints }]]));
    else result.set(channelName, { outcome, totalPoints });
  }
  return results;
}

/** What the plain read decides: refusals and replays. Undefined for what has to be written. */
function settleByReading(item: IngestItem, rows: FoundRow[]): IngestResult | Error | undefined {
  const { pointsPerChunk, closed } = (rows[0] as FoundRow).standing;
  if (pointsPerChunk === null) return notFound('Stream');
  if (!hasExactOffsets(item, pointsPerChunk)) return offsetError(item.chunkIndex, pointsPerChunk);
  const differing = rows.filter(({ standing }) => standing.isSame !== true);
  if (differing.length === 0) {
    return new Map(
      rows.map(({ channelName, standing }) => [
        channelName,
        { outcome: 'unchanged', totalPoints: standing.channelPointCount as number },
      ]),
    );
  }
  return closed && !item.isRestoring ? closedError(differing.map(({ channelName }) => channelName)) : undefined;
}

function offsetError(chunkIndex: number, pointsPerChunk: number): ApiError {
  return invalid(
    ['body', 'chunk_index'],
    `chunk_index × points_per_chunk (${pointsPerChunk}) must keep array offsets within ${limits.offsetMax}`,
    chunkIndex,
  );
}

function closedError(channelNames: string[]): ApiError {
  return new ApiError(
    'conflict',
    `The stream is finalized and the grace for late chunks is over (FINALIZE_GRACE_SECONDS); ` +
      `nothing was stored of channel ${channelNames.map((name) => `"${name}"`).join(', ')}.`,
  );
}

/** Gives every row its channel; makes the channels that are new. */
async function place(database: Database, rows: FoundRow[]): Promise<PlacedRow[]> {
  const unknown = rows.filter(({ standing }) => standing.channelId === null);
  if (unknown.length > 0) await insertChannels(database, unknown);
  const ids = unknown.length > 0 ? await findChannels(database, unknown) : new Map<string, number>();
  return rows.map(({ standing, ...row }) => {
    const channelId = standing.channelId ?? ids.get(channelKey(row.item.dataId, row.channelName));
    // The stream was there a moment ago, and a channel goes only with its stream.
    if (channelId === undefined) throw notFound('Stream');
    return { ...row, channelId, pointsPerChunk: standing.pointsPerChunk as number };
  });
}

/** Writes chunks that were not there a moment ago. Undefined where another writer was faster, and so nothing was stored. */
async function writeNewRows(database: Database, rows: PlacedRow[]): Promise<(PlacedRow & Stored)[] | undefined> {
  try {
    return await insertInOneTrip(database, rows, (client) => lockChannels(client, rows));
  } catch (error) {
    if ((error as { code?: string }).code === uniqueViolation) return undefined;
    throw error;
  }
}

/** The transaction of new chunks, which nearly every one is: it takes one trip. @throws 23505 when one is not new */
async function insertInOneTrip(
  database: Database,
  rows: PlacedRow[],
  lock: (client: pg.PoolClient) => Promise<void>,
): Promise<(PlacedRow & Stored)[]> {
  const [, { totals }] = await inOneTrip<[unknown, InsertedChunks]>(database.ingestPool, (client) => [
    lock(client),
    insertNewChunks(client, rows),
  ]);
  return rows.map((row) => ({ ...row, outcome: 'created', totalPoints: totals.get(row.channelId) as number }));
}

const uniqueViolation = '23505';

/** The transaction: lock the channels, insert what is new, settle what was there. */
async function writeRows(client: pg.PoolClient, rows: PlacedRow[]): Promise<(PlacedRow & Stored)[]> {
  // Both are sent at once. PostgreSQL runs them one after the other, so the insert sees what the lock has waited for.
  const [, { inserted, totals }] = await Promise.all([lockChannels(client, rows), insertChunks(client, rows)]);
  const standing = rows.filter((row) => !inserted.has(sliceOf(row)));
  const replaced = standing.length > 0 ? await settleStanding(client, standing, totals) : new Set<PlacedRow>();
  return rows.map((row) => {
    const outcome = inserted.has(sliceOf(row)) ? 'created' : replaced.has(row) ? 'replaced' : 'unchanged';
    return { ...row, outcome, totalPoints: totals.get(row.channelId) as number };
  });
}

/** Rows whose slices are taken: replaces what differs and fills in the totals. @returns those that it replaced. */
async function settleStanding(
  client: pg.PoolClient,
  rows: PlacedRow[],
  totals: Map<number, number>,
): Promise<Set<PlacedRow>> {
  const stored = await readStoredChunks(client, rows);
  // Chunks go after their channels, which are locked.
  const before = (row: PlacedRow) => stored.get(sliceOf(row)) as StoredChunk;
  for (const row of rows) totals.set(row.channelId, before(row).channelPointCount);
  const differing = rows.filter((row) => !before(row).contentHash.equals(row.image.contentHash));
  if (differing.length > 0) {
    for (const { channelId, pointCount } of await replaceChunks(client, differing)) totals.set(channelId, pointCount);
    const shrunk = differing.filter((row) => mayShrink(row.image, before(row)));
    if (shrunk.length > 0) await recountChannels(client, shrunk);
  }
  return new Set(differing);
}

/** Whether what was replaced may have held the first or last time of its channel, or its unit. */
function mayShrink(image: ChunkImage, before: StoredChunk): boolean {
  const startsLater = before.timeMin !== null && (image.timeMin === null || image.timeMin > before.timeMin);
  const endsEarlier = before.timeMax !== null && (image.timeMax === null || image.timeMax < before.timeMax);
  return (
    (startsLater && before.timeMin === before.channelTimeMin) ||
    (endsEarlier && before.timeMax === before.channelTimeMax) ||
    (Boolean(before.units) && !image.units)
  );
}
