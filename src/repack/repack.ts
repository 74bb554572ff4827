import { setTimeout as sleep } from 'node:timers/promises';
import { type ContentKey, type ContentTable, contentPlaceOf, firstOfAll, isDamage } from '../database/contents.ts';
import type { Database } from '../database/database.ts';
import { isConflict, isLockTimeout } from '../database/failures.ts';
import { createPacker, type Packer } from '../database/series-packer.ts';
import { inTransaction } from '../database/transactions.ts';
import { columnsByteLength, packImage } from './columns.ts';
import { type RepackLimits, repackLimits } from './limits.ts';
import {
  estimateRows,
  findUnproven,
  type ListedRow,
  listRows,
  lockChannel,
  mayPack,
  type PackedRow,
  type ReadRow,
  readRows,
  tableBytes,
  writeRow,
} from './store.ts';

/*
 * Packs what was stored before series were packed, or by an older server, while servers keep running. Only the stored
 * form changes: the content stays the same, and so does every answer about it. Each row is visited once, in the order
 * of the keys. Progress is not recorded: after an interruption, a new run starts from the beginning and skips what is
 * packed already.
 */

/** A row that was not changed, and why. */
export interface LeftRow {
  dataId: string;
  place: string;
  problem: string;
}

export interface Repacking {
  /** Rows that were visited, of `chunks` and `chunk_revisions`. */
  looked: number;
  /** Rows of which at least one series was packed. */
  packed: number;
  /** Rows with a series for which no shorter form is exact. */
  asSent: number;
  /** Rows that were not changed because something is wrong with them; each was reported to `onLeft`. */
  wrong: number;
  /** Channels that another session had locked at every attempt: some of their rows are not packed. */
  heldChannels: number;
  /** Bytes of the points of packed rows, before and after. */
  pointBytes: { before: number; after: number };
  /** Bytes of the tables and their indexes in the file system. */
  tableBytes: { before: number; after: number };
  /** It was stopped by the signal, or after `packedMax` rows. */
  isBrokenOff: boolean;
}

interface Options {
  onLeft: (row: LeftRow) => void;
  /** Called with the number of rows visited so far, and of about how many. */
  onProgress?: (looked: number, total: number) => void;
  /** Stops it after the current transaction. */
  signal?: AbortSignal;
  /** Packs at most this many rows, then stops. */
  packedMax?: number;
  limits?: Partial<RepackLimits>;
  packer?: Packer;
}

/** Where a pass begins. With `channelId` it goes through that channel only, which was locked before. */
interface Start {
  table: ContentTable;
  after: ContentKey;
  channelId?: number;
}

/** A run: its options, its counts so far, and where channels were locked. */
interface Run extends Options {
  database: Database;
  limits: RepackLimits;
  packer: Packer;
  result: Repacking;
  held: (Start & { channelId: number })[];
}

/**
 * Packs all that can be packed. Its memory does not grow with the database.
 * @throws when the database cannot be read or written; with a sentence when a program is connected that cannot read
 * packed series
 */
export async function repack(database: Database, options: Options): Promise<Repacking> {
  if (!(await mayPack(database))) throw new Error(notYet);
  const [total, bytes] = [await estimateRows(database), await tableBytes(database)];
  const result: Repacking = {
    ...{ looked: 0, packed: 0, asSent: 0, wrong: 0, heldChannels: 0, isBrokenOff: false },
    pointBytes: { before: 0, after: 0 },
    tableBytes: { before: bytes, after: bytes },
  };
  const limits = { ...repackLimits, ...options.limits };
  const run: Run = { packer: createPacker(), ...options, database, limits, result, held: [] };
  for (const table of ['chunks', 'chunk_revisions'] as const) {
    await pass(run, { table, after: firstOfAll }, (rows) => {
      result.looked += rows;
      options.onProgress?.(result.looked, Math.max(total, result.looked));
    });
  }
  for (let tries = 0; run.held.length > 0 && tries < limits.heldTriesMax && !isOver(run); tries++) {
    await sleep(limits.heldPauseMs, undefined, { signal: options.signal }).catch(() => {});
    for (const start of run.held.splice(0)) await pass(run, start);
  }
  result.heldChannels = new Set(run.held.map(({ channelId }) => channelId)).size;
  result.tableBytes.after = await tableBytes(database);
  return result;
}

const notYet =
  'Another program is connected to the database that may not be able to read packed series, such as a server of the release ' +
  'before. Replace all servers by this release, end that program, and run this again (docs/operations.md#repack).';

function isOver({ signal, packedMax = Number.POSITIVE_INFINITY, result }: Run): boolean {
  if (signal?.aborted || result.packed >= packedMax) result.isBrokenOff = true;
  return result.isBrokenOff;
}

/** Goes through a table, or one channel of it, from a key on. A locked channel is left for a later pass. */
async function pass(run: Run, start: Start, onLooked?: (rows: number) => void): Promise<void> {
  const { database, limits, held } = run;
  const { table, channelId: only } = start;
  const passedOver = new Set<number>();
  for (let { after } = start; !isOver(run); ) {
    const page = await listRows(database, table, after, limits.pageRowsMax);
    const wanted = page.filter((row) => row.isSent && (only === undefined || row.channelId === only));
    for (const group of groupsOf(wanted, limits)) {
      const [first] = group as [ListedRow];
      if (passedOver.has(first.channelId)) continue;
      if (isOver(run)) return;
      const free = await packGroup(run, table, group);
      if (free === undefined) continue;
      passedOver.add(first.channelId);
      held.push({ table, after: { ...free, revision: free.revision - 1 }, channelId: first.channelId });
    }
    onLooked?.(page.length);
    const last = page.at(-1);
    if (last === undefined || page.length < limits.pageRowsMax) return;
    if (only !== undefined && last.channelId !== only) return;
    after = last;
  }
}

/** Splits rows into groups for one transaction each: rows of one channel, within the limits. */
function groupsOf(rows: readonly ListedRow[], { transactionRowsMax, transactionBytesMax }: RepackLimits) {
  const groups: ListedRow[][] = [];
  let bytes = 0;
  for (const row of rows) {
    const group = groups.at(-1);
    const own = row.pointCount * pointBytes;
    bytes += own;
    const isSame = group?.[0]?.channelId === row.channelId;
    if (group !== undefined && isSame && group.length < transactionRowsMax && bytes <= transactionBytesMax) {
      group.push(row);
    } else {
      groups.push([row]);
      bytes = own;
    }
  }
  return groups;
}

/** Of a timestamp and a value. */
const pointBytes = 16;

/**
 * Packs some rows of one channel, up to `packedMax` in all.
 * @returns the first row that was not processed because another session holds a lock; undefined when there is none
 */
async function packGroup(run: Run, table: ContentTable, group: readonly ListedRow[]): Promise<ListedRow | undefined> {
  for (let rest = group; rest.length > 0 && !isOver(run); ) {
    const piece = rest.slice(0, (run.packedMax ?? Number.POSITIVE_INFINITY) - run.result.packed);
    if (!(await packRows(run, table, piece))) return piece[0];
    rest = rest.slice(piece.length);
  }
  return undefined;
}

/** @returns false when another session holds a lock that is needed; then nothing was done */
async function packRows(run: Run, table: ContentTable, listed: readonly ListedRow[]): Promise<boolean> {
  const { read, unreadable } = await readOrNot(run.database, table, listed);
  const rows = read
    .filter(({ isWhole }) => isWhole)
    .map((row) => ({ ...row, times: packed(run, row.timestamps), readings: packed(run, row.values) }));
  const writable = rows.filter(({ times, readings }) => times !== undefined || readings !== undefined);
  let outcome: Awaited<ReturnType<typeof writeProven>>;
  try {
    outcome = await writeProven(run, table, writable);
  } catch (error) {
    if (isLockTimeout(error) || isConflict(error)) return false;
    throw error;
  }
  for (const { row, problem } of unreadable) leave(run, { ...row, channelName: null }, problem);
  for (const row of read) if (!row.isWhole) leave(run, row, 'its hash is not that of its content');
  for (const row of outcome.unproven) leave(run, row, 'packed, it would not be read as it was sent');
  count(run.result, rows, outcome.written);
  return true;
}

const packed = ({ packer }: Run, image: Buffer | null) => (image === null ? undefined : packImage(image, packer));

/** Reads rows. If PostgreSQL cannot read one because a block is damaged, the others are still read. */
async function readOrNot(database: Database, table: ContentTable, listed: readonly ListedRow[]) {
  const unreadable: { row: ListedRow; problem: string }[] = [];
  const read = await readRows(database, table, listed).catch(async (error) => {
    if (!isDamage(error)) throw error;
    const rows: ReadRow[] = [];
    for (const row of listed) {
      try {
        rows.push(...(await readRows(database, table, [row])));
      } catch (one) {
        if (!isDamage(one)) throw one;
        unreadable.push({ row, problem: `it cannot be read: ${(one as Error).message}` });
      }
    }
    return rows;
  });
  return { read, unreadable };
}

/** Writes rows, except those that would then read differently than before: nothing of these is written. */
async function writeProven(run: Run, table: ContentTable, rows: readonly PackedRow[]) {
  const unproven: PackedRow[] = [];
  for (;;) {
    const left = rows.filter((row) => !unproven.includes(row));
    if (left.length === 0) return { written: [], unproven };
    const outcome = await write(run, table, left);
    if (outcome.unproven.length === 0) return { written: outcome.written, unproven };
    unproven.push(...outcome.unproven);
  }
}

/** Writes rows and reads them back in one transaction, which is rolled back when one of them reads differently. */
async function write({ database, limits }: Run, table: ContentTable, rows: readonly PackedRow[]) {
  const written: PackedRow[] = [];
  const unproven: PackedRow[] = [];
  const undone = new Error('undone');
  await inTransaction(database.everyOrganization.upkeep.pool, async (client) => {
    // Without its channel, the row belongs to a stream that is being removed.
    if (!(await lockChannel(client, rows[0] as PackedRow, limits.lockMsMax))) return;
    for (const row of rows) if (await writeRow(client, table, row)) written.push(row);
    if (written.length > 0) unproven.push(...(await findUnproven(client, table, written)));
    if (unproven.length > 0) throw undone;
  }).catch((error) => {
    if (error !== undone) throw error;
  });
  return { written, unproven };
}

function leave({ result, onLeft }: Run, row: ContentKey & { channelName: string | null }, problem: string): void {
  result.wrong++;
  onLeft({ dataId: row.dataId, place: contentPlaceOf(row), problem });
}

function count(result: Repacking, rows: readonly PackedRow[], written: readonly PackedRow[]): void {
  result.packed += written.length;
  result.asSent += rows.filter(({ times, readings, timestamps, values }) => {
    return (timestamps !== null && times === undefined) || (values !== null && readings === undefined);
  }).length;
  for (const { times, readings, timestamps, values } of written) {
    for (const [columns, image] of [[times, timestamps] as const, [readings, values] as const]) {
      if (columns === undefined || image === null) continue;
      result.pointBytes.before += image.readInt32BE(12) * 8;
      result.pointBytes.after += columnsByteLength(columns);
    }
  }
}
