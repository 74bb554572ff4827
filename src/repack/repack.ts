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
 * Packs what was stored before series were packed, or by a server of before, beside servers that go on. What is stored stays the same
 * and so does all that is told of it; only its form changes. A row is looked at in the order of its key, once. Nothing is kept of
 * how far a run has come: one that was broken off begins again and passes over what it finds packed.
 */

/** A row that was left as it is, in words that name it. */
export interface LeftRow {
  dataId: string;
  place: string;
  problem: string;
}

export interface Repacking {
  /** Rows that were looked at; of `chunks` and `chunk_revisions`. */
  looked: number;
  /** Rows of which a series was packed. */
  packed: number;
  /** Rows with a series for which no shorter form is exact. */
  asSent: number;
  /** Rows that were left as they are since something is wrong with them; each was told. */
  wrong: number;
  /** Channels that somebody else held whenever they were tried: rows of theirs are left. */
  heldChannels: number;
  /** Bytes of the points of packed rows, as they were and as they are. */
  pointBytes: { before: number; after: number };
  /** Bytes of the tables and their indexes as the file system sees them. */
  tableBytes: { before: number; after: number };
  /** It was told to stop, or has packed as many as it was to. */
  isBrokenOff: boolean;
}

interface Options {
  onLeft: (row: LeftRow) => void;
  /** Is told how many rows of about how many have been looked at. */
  onProgress?: (looked: number, total: number) => void;
  /** Ends it after the transaction under way. */
  signal?: AbortSignal;
  /** Rows to pack at most; then it ends. */
  packedMax?: number;
  limits?: Partial<RepackLimits>;
  packer?: Packer;
}

/** Where a pass begins; one of what was held goes through one channel. */
interface Start {
  table: ContentTable;
  after: ContentKey;
  channelId?: number;
}

/** A run: its options, what it has counted so far, and where channels were held. */
interface Run extends Options {
  database: Database;
  limits: RepackLimits;
  packer: Packer;
  result: Repacking;
  held: (Start & { channelId: number })[];
}

/**
 * Packs all that can be packed, in memory that does not grow with the database.
 * @throws when the database cannot be read or written, and with a sentence when somebody is connected who cannot read packed series
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

/** Goes through a table, or one channel of it, from a key on. A channel that is held is left for another pass. */
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

/** Cuts rows into those that go into one transaction: of one channel, and within bounds. */
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
 * Packs some rows of one channel, as many as may still be packed.
 * @returns the first of those that were not looked at, since somebody else holds what is needed
 */
async function packGroup(run: Run, table: ContentTable, group: readonly ListedRow[]): Promise<ListedRow | undefined> {
  for (let rest = group; rest.length > 0 && !isOver(run); ) {
    const piece = rest.slice(0, (run.packedMax ?? Number.POSITIVE_INFINITY) - run.result.packed);
    if (!(await packRows(run, table, piece))) return piece[0];
    rest = rest.slice(piece.length);
  }
  return undefined;
}

/** @returns false when somebody else holds what is needed, and so nothing was done */
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
  for (const row of outcome.unproven) leave(run, row, 'it would not be read as it was sent, were it packed');
  count(run.result, rows, outcome.written);
  return true;
}

const packed = ({ packer }: Run, image: Buffer | null) => (image === null ? undefined : packImage(image, packer));

/** Rows that PostgreSQL cannot read, since a block is damaged, do not keep others from being read. */
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

/** Writes rows; without those that would be read otherwise than before, of which nothing stays. */
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

/** Writes rows and reads them back, in one transaction that comes to nothing when one of them is read otherwise. */
async function write({ database, limits }: Run, table: ContentTable, rows: readonly PackedRow[]) {
  const written: PackedRow[] = [];
  const unproven: PackedRow[] = [];
  const undone = new Error('undone');
  await inTransaction(database.everyOrganization.upkeep.pool, async (client) => {
    // Without its channel it is of a stream that is being removed.
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
