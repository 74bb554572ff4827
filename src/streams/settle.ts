import type pg from 'pg';
import { contract } from '../contract.ts';
import { hasSqlstate, sqlstates } from '../database/sqlstates.ts';
import { inOneTrip, inTransaction } from '../database/transactions.ts';
import { type ApiError, invalid, notFound } from '../errors.ts';
import { nextTurn } from '../lib/turns.ts';
import type { Settled } from './apart.ts';
import { auditReplacements } from './audit-store.ts';
import { findChannels, insertChannels, lockChannels, recountChannels, requireOpen } from './channel-store.ts';
import type { ChunkImage } from './chunk-image.ts';
import { insertChunks, readAddresses, readStoredChunks, replaceChunks, type StoredChunk } from './chunk-store.ts';
import type { Means } from './means.ts';
import { insertNewChunks } from './new-chunks.ts';
import { byRequest, closedError, type IngestResult, type Stored } from './outcomes.ts';
import {
  channelKey,
  type FoundRow,
  hasExactOffsets,
  type IngestItem,
  type PlacedRow,
  type Row,
  sliceOf,
} from './rows.ts';

/** The chunks of requests, each with its request. */
export const rowsOf = (items: readonly IngestItem[]): Row[] =>
  items.flatMap((item) => item.arrivals.map(({ channelName, image }) => ({ item, channelName, image })));

/**
 * Settles requests after a look at what stands there: refusals and replays by that look, all others in one transaction.
 * @throws when it fails: then nothing of any of them is stored
 */
export async function settle(means: Means, items: IngestItem[]): Promise<Settled> {
  const found = await readAddresses(means, rowsOf(items));
  await breathe(found, means);
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
  const placed = await place(means, writes);
  await breathe(placed, means);
  const areNew = writes.every(({ standing }) => standing.isSame === null);
  const stored =
    (areNew ? await writeNewRows(means, placed) : undefined) ??
    (await inTransaction(means.pool, (client) => writeRows(client, placed, means), means.patience));
  await breathe(stored, means);
  means.onCommitted(stored);
  return new Map([...settled, ...byRequest(stored)]);
}

/** Between two parts of a flush of very many rows, others have their turn. */
async function breathe(rows: readonly unknown[], { limits }: Means): Promise<void> {
  if (rows.length > limits.flushRowsMax) await nextTurn();
}

/** What the plain read decides: refusals and replays. Undefined for what has to be written. */
function settleByReading(item: IngestItem, rows: FoundRow[]): IngestResult | Error | undefined {
  const { closed } = (rows[0] as FoundRow).standing;
  const refusal = refusalOf(item, rows);
  if (refusal !== undefined) return refusal;
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

/** Why a request can never be stored, whatever stands there. */
export function refusalOf({ chunkIndex, ...item }: IngestItem, rows: FoundRow[]): ApiError | undefined {
  const { pointsPerChunk } = (rows[0] as FoundRow).standing;
  if (pointsPerChunk === null) return notFound('Stream');
  if (hasExactOffsets({ chunkIndex, ...item }, pointsPerChunk)) return undefined;
  return invalid(
    ['body', 'chunk_index'],
    `chunk_index × points_per_chunk (${pointsPerChunk}) must keep array offsets within ${contract.offsetMax}`,
    chunkIndex,
  );
}

/** Gives every row its channel; makes the channels that are new. */
export async function place(means: Means, rows: FoundRow[]): Promise<PlacedRow[]> {
  const unknown = rows.filter(({ standing }) => standing.channelId === null);
  if (unknown.length > 0) await insertChannels(means, unknown);
  const ids = unknown.length > 0 ? await findChannels(means, unknown) : new Map<string, number>();
  return rows.map(({ standing, ...row }) => {
    const channelId = standing.channelId ?? ids.get(channelKey(row.item.dataId, row.channelName));
    // The stream was there a moment ago, and a channel goes only with its stream.
    if (channelId === undefined) throw notFound('Stream');
    return { ...row, channelId, pointsPerChunk: standing.pointsPerChunk as number };
  });
}

/** Writes chunks that were not there a moment ago. Undefined where another writer was faster, and so nothing was stored. */
async function writeNewRows(means: Means, rows: PlacedRow[]): Promise<(PlacedRow & Stored)[] | undefined> {
  try {
    return await insertNew(means, rows);
  } catch (error) {
    if (hasSqlstate(error, sqlstates.uniqueViolation)) return undefined;
    throw error;
  }
}

/** The transaction of new chunks, which nearly every one is: it takes one trip. @throws 23505 when one is not new */
export async function insertNew(means: Means, rows: PlacedRow[]): Promise<(PlacedRow & Stored)[]> {
  const { pool, patience, grace, limits } = means;
  // The channels are locked when PostgreSQL comes to ask whether their streams are open.
  const send = (client: pg.PoolClient): [Promise<Map<number, number>>, Promise<void>] => [
    insertNewChunks(client, rows, limits),
    requireOpen(client, rows, grace),
  ];
  const [totals] =
    rows.length > limits.flushRowsMax
      ? await inTransaction(pool, (client) => insertInTurns(client, rows, means), patience)
      : await inOneTrip<[Map<number, number>, unknown]>(pool, send, patience);
  await breathe(rows, means);
  return rows.map((row) => ({ ...row, outcome: 'created', totalPoints: totals.get(row.channelId) as number }));
}

/** The same of very many chunks, of which no turn of the event loop has to encode all. */
async function insertInTurns(client: pg.PoolClient, rows: PlacedRow[], means: Means): Promise<[Map<number, number>]> {
  const totals = await insertNewChunks(client, rows, means.limits);
  await requireOpen(client, rows, means.grace);
  return [totals];
}

/** The transaction: lock the channels, insert what is new, settle what was there. */
export async function writeRows(
  client: pg.PoolClient,
  rows: PlacedRow[],
  { grace, limits }: Pick<Means, 'grace' | 'limits'>,
): Promise<(PlacedRow & Stored)[]> {
  // All are sent at once. PostgreSQL runs them one after the other, so the insert sees what the lock has waited for.
  const [, , { inserted, totals }] = await Promise.all([
    lockChannels(client, rows),
    requireOpen(client, rows, grace),
    insertChunks(client, rows, limits),
  ]);
  const standing = rows.filter((row) => !inserted.has(sliceOf(row)));
  const replaced = standing.length > 0 ? await settleStanding(client, standing, totals, limits) : new Set<PlacedRow>();
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
  limits: Means['limits'],
): Promise<Set<PlacedRow>> {
  const stored = await readStoredChunks(client, rows);
  // Chunks go after their channels, which are locked.
  const before = (row: PlacedRow) => stored.get(sliceOf(row)) as StoredChunk;
  for (const row of rows) totals.set(row.channelId, before(row).channelPointCount);
  const differing = rows.filter((row) => !before(row).contentHash.equals(row.image.contentHash));
  if (differing.length > 0) {
    for (const { channelId, pointCount } of await replaceChunks(client, differing, limits))
      totals.set(channelId, pointCount);
    await auditReplacements(client, differing);
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
