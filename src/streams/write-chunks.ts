import type pg from 'pg';
import { contract } from '../contract.ts';
import { hasSqlstate, sqlstates } from '../database/sqlstates.ts';
import { inOneTrip, inOrder, inTransaction } from '../database/transactions.ts';
import { type ApiError, invalid, notFound } from '../errors.ts';
import { nextTurn } from '../lib/turns.ts';
import type { RequestOutcomes } from './apart.ts';
import { auditReplacements } from './audit-store.ts';
import { findChannels, insertChannels, lockChannels, recountChannels, requireOpen } from './channel-store.ts';
import type { ChunkImage } from './chunk-image.ts';
import { insertChunks, readAddresses, readStoredChunks } from './chunk-store.ts';
import type { FlushDependencies } from './flush-dependencies.ts';
import {
  channelKey,
  type FoundRow,
  hasExactOffsets,
  type IngestItem,
  type KnownRow,
  type Row,
  sliceOf,
} from './ingest-rows.ts';
import { insertNewChunks } from './new-chunks.ts';
import { byRequest, closedError, type IngestResult, type Stored } from './outcomes.ts';
import { replaceChunks } from './replace-store.ts';
import type { StoredChunk } from './stored-chunk.ts';

/** The chunks of requests, each with its request. */
export const rowsOf = (items: readonly IngestItem[]): Row[] =>
  items.flatMap((item) => item.arrivals.map(({ channelName, image }) => ({ item, channelName, image })));

/**
 * Decides requests after a read of what is stored. That read decides refusals and replays; all other requests are
 * written in one transaction, after a first try as new chunks where all of them are.
 * @throws when the transaction fails; then nothing of any of them is stored
 */
export async function writeAfterLookup(deps: FlushDependencies, items: IngestItem[]): Promise<RequestOutcomes> {
  const found = await readAddresses(deps, rowsOf(items));
  await breathe(found, deps);
  const outcomes: RequestOutcomes = new Map();
  const writes: FoundRow[] = [];
  let next = 0;
  for (const item of items) {
    const own = found.slice(next, next + item.arrivals.length);
    next += own.length;
    const result = decideByLookup(item, own);
    if (result === undefined) writes.push(...own);
    else outcomes.set(item, result);
  }
  if (writes.length === 0) return outcomes;
  const known = await withChannels(deps, writes);
  await breathe(known, deps);
  const areNew = writes.every(({ state }) => state.isSame === null);
  const stored =
    (areNew ? await writeNewRows(deps, known) : undefined) ??
    (await inTransaction(deps.pool, (client) => writeRows(client, known, deps), deps.patience));
  await breathe(stored, deps);
  deps.onCommitted(stored);
  return new Map([...outcomes, ...byRequest(stored)]);
}

/** Yields to the event loop between two parts of a flush of very many rows. */
async function breathe(rows: readonly unknown[], { limits }: FlushDependencies): Promise<void> {
  if (rows.length > limits.flushRowsMax) await nextTurn();
}

/** What the plain read decides: refusals and replays. Undefined for what has to be written. */
function decideByLookup(item: IngestItem, rows: FoundRow[]): IngestResult | Error | undefined {
  const { closed } = (rows[0] as FoundRow).state;
  const refusal = refusalOf(item, rows);
  if (refusal !== undefined) return refusal;
  const differing = rows.filter(({ state }) => state.isSame !== true);
  if (differing.length === 0) {
    return new Map(
      rows.map(({ channelName, state }) => [
        channelName,
        { outcome: 'unchanged', totalPoints: state.channelPointCount as number },
      ]),
    );
  }
  return closed && !item.isRestoring ? closedError(differing.map(({ channelName }) => channelName)) : undefined;
}

/** Refusals that do not depend on what is stored at the address: an unknown stream, an offset that is no exact integer. */
export function refusalOf({ chunkIndex, ...item }: IngestItem, rows: FoundRow[]): ApiError | undefined {
  const { pointsPerChunk } = (rows[0] as FoundRow).state;
  if (pointsPerChunk === null) return notFound('Stream');
  if (hasExactOffsets({ chunkIndex, ...item }, pointsPerChunk)) return undefined;
  return invalid(
    ['body', 'chunk_index'],
    `chunk_index × points_per_chunk (${pointsPerChunk}) must keep array offsets within ${contract.offsetMax}`,
    chunkIndex,
  );
}

/** Gives every row its channel; creates the channels that are new. */
export async function withChannels(deps: FlushDependencies, rows: FoundRow[]): Promise<KnownRow[]> {
  const unknown = rows.filter(({ state }) => state.channelId === null);
  if (unknown.length > 0) await insertChannels(deps, unknown);
  const ids = unknown.length > 0 ? await findChannels(deps, unknown) : new Map<string, number>();
  return rows.map(({ state, ...row }) => {
    const channelId = state.channelId ?? ids.get(channelKey(row.item.dataId, row.channelName));
    // The stream was found a moment ago. A channel goes only with its stream, so the stream is gone.
    if (channelId === undefined) throw notFound('Stream');
    return { ...row, channelId, pointsPerChunk: state.pointsPerChunk as number };
  });
}

/**
 * Writes chunks that were not stored a moment ago. Undefined where another writer was faster: then nothing was stored.
 */
async function writeNewRows(deps: FlushDependencies, rows: KnownRow[]): Promise<(KnownRow & Stored)[] | undefined> {
  try {
    return await insertNew(deps, rows);
  } catch (error) {
    if (hasSqlstate(error, sqlstates.uniqueViolation)) return undefined;
    throw error;
  }
}

/** The transaction for new chunks, which nearly all are: one round trip. @throws 23505 when one is not new */
export async function insertNew(deps: FlushDependencies, rows: KnownRow[]): Promise<(KnownRow & Stored)[]> {
  const { pool, patience, limits } = deps;
  // The insert locks the channels before PostgreSQL checks whether their streams are open.
  const send = (client: pg.PoolClient): [Promise<Map<number, number>>, Promise<void>] => [
    insertNewChunks(client, rows, deps),
    requireOpen(client, rows, deps),
  ];
  const [totals] =
    rows.length > limits.flushRowsMax || deps.form === 'one stream'
      ? await inTransaction(pool, (client) => insertInTurns(client, rows, deps), patience)
      : await inOneTrip<[Map<number, number>, unknown]>(pool, send, patience);
  await breathe(rows, deps);
  return rows.map((row) => ({ ...row, outcome: 'created', totalPoints: totals.get(row.channelId) as number }));
}

/** The same for very many chunks, which are encoded in several turns of the event loop, and for those of one stream. */
async function insertInTurns(
  client: pg.PoolClient,
  rows: KnownRow[],
  deps: FlushDependencies,
): Promise<[Map<number, number>]> {
  if (deps.form === 'any streams') {
    const totals = await insertNewChunks(client, rows, deps);
    await requireOpen(client, rows, deps);
    return [totals];
  }
  // The first statement of the insert locks the channels, and goes out before the second of these two.
  const [totals] = await inOrder([insertNewChunks(client, rows, deps), requireOpen(client, rows, deps)]);
  return [totals];
}

/** What writing in a transaction needs. */
type Written = Pick<FlushDependencies, 'grace' | 'limits' | 'form'>;

/** Writes rows inside a transaction: locks the channels, inserts new chunks, compares those stored before and replaces what differs. */
export async function writeRows(
  client: pg.PoolClient,
  rows: KnownRow[],
  deps: Written,
): Promise<(KnownRow & Stored)[]> {
  // All are sent at once. PostgreSQL runs them in order, so the insert sees what was committed while the lock was
  // waited for.
  const [, , { inserted, totals }] = await inOrder([
    lockChannels(client, rows, deps.form),
    requireOpen(client, rows, deps),
    insertChunks(client, rows, deps),
  ]);
  const taken = rows.filter((row) => !inserted.has(sliceOf(row)));
  const replaced = taken.length > 0 ? await replaceDiffering(client, taken, totals, deps) : new Set<KnownRow>();
  return rows.map((row) => {
    const outcome = inserted.has(sliceOf(row)) ? 'created' : replaced.has(row) ? 'replaced' : 'unchanged';
    return { ...row, outcome, totalPoints: totals.get(row.channelId) as number };
  });
}

/** Rows whose slices are taken: replaces what differs and fills in the totals. @returns those that it replaced. */
async function replaceDiffering(
  client: pg.PoolClient,
  rows: KnownRow[],
  totals: Map<number, number>,
  deps: Written,
): Promise<Set<KnownRow>> {
  const stored = await readStoredChunks(client, rows, deps.form);
  // Every slice has one: a chunk is removed only after its channel, and the channels are locked.
  const before = (row: KnownRow) => stored.get(sliceOf(row)) as StoredChunk;
  for (const row of rows) totals.set(row.channelId, before(row).channelPointCount);
  const differing = rows.filter((row) => !before(row).contentHash.equals(row.image.contentHash));
  if (differing.length > 0) {
    for (const { channelId, pointCount } of await replaceChunks(client, differing, deps, before))
      totals.set(channelId, pointCount);
    await auditReplacements(client, differing);
    const shrunk = differing.filter((row) => mayShrink(row.image, before(row)));
    if (shrunk.length > 0) await recountChannels(client, shrunk, deps.form);
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
