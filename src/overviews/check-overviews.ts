import { isDamage } from '../database/contents.ts';
import type { Database } from '../database/database.ts';
import { isLockTimeout } from '../database/failures.ts';
import type { Patience } from '../database/transactions.ts';
import { nextTurn } from '../lib/turns.ts';
import { decodeIfWhole, decodeSummaries, fanOut, type Summaries } from '../points/overview.ts';
import type { Statistics } from '../points/range-statistics.ts';
import type { Block, BlockAddress } from './block.ts';
import { firstAddress, listBlocks, listLongChannels, readBlock, readBlockVersion, removeBlock } from './check-store.ts';
import type { OverviewLimits } from './limits.ts';
import { makeBlock } from './make-block.ts';
import { createMaker } from './maker.ts';

/*
 * Checks whether every overview is what its chunks say: each block is made once more from what is stored, and compared bit
 * for bit. A block that differs can always be made again, since it only repeats what the chunks hold.
 */

/** A block that differs. */
export interface DifferingBlock {
  dataId: string;
  place: string;
  problem: string;
}

interface CheckDependencies {
  database: Database;
  limits: { blocksMax: number; channelsMax: number } & Pick<OverviewLimits, 'walkedChunksMax'>;
  patience: Patience;
}

/**
 * Compares every block with its chunks, or with the blocks below it. Each comparison is of one moment, so the check may run
 * beside servers.
 * @param repair makes a differing block again
 */
export async function checkOverviews(
  { database, limits: { blocksMax } }: Pick<CheckDependencies, 'database' | 'limits'>,
  onDifference: (difference: DifferingBlock) => void,
  repair?: (address: BlockAddress) => Promise<void>,
): Promise<{ checked: number; differ: number; left: number }> {
  const tally = { checked: 0, differ: 0, left: 0 };
  for (let after = firstAddress; ; ) {
    const page = await listBlocks(database, after, blocksMax);
    for (const { channelName, ...address } of page) {
      tally.checked++;
      const found = channelName === null ? { problem: 'its channel is gone' } : await differenceOf(database, address);
      if (found === undefined) continue;
      tally.differ++;
      onDifference({ dataId: address.dataId, place: placeOf(address, channelName), problem: found.problem });
      // If its chunks cannot be read, the block may be all that is left of them.
      if (found.isUnknown) tally.left++;
      else await repair?.(address);
    }
    const last = page.at(-1);
    if (last === undefined || page.length < blocksMax) return tally;
    after = last;
  }
}

export interface RepairedOverviews {
  checked: number;
  differ: number;
  /** Blocks that were made: again, or because they were missing. */
  made: number;
  /** Blocks that differ and were left as they are, because their chunks cannot be read. */
  left: number;
  /** Channels that may still lack blocks, because somebody else held the lock of the channel. */
  heldChannels: number;
}

/** The same check, with repair: makes differing blocks again, and missing blocks as far as their chunks are there. */
export async function repairOverviews(
  { database, limits, patience }: CheckDependencies,
  onDifference: (difference: DifferingBlock) => void,
): Promise<RepairedOverviews> {
  const maker = createMaker(
    { database, limits, patience },
    (work) => work(),
    () => false,
  );
  const tally = { made: 0, heldChannels: 0 };
  const onMade = () => void tally.made++;
  const found = await checkOverviews({ database, limits }, onDifference, async (address) => {
    await removeBlock(database, address);
    // If somebody holds the lock of its channel, the block is missing from now on.
    await unlessHeld(async () => void ((await maker.make(address)) && onMade()));
  });
  for (let after: Pick<BlockAddress, 'dataId' | 'channelId'> = firstAddress; ; ) {
    const page = await listLongChannels(database, after, fanOut, limits.channelsMax);
    for (const channel of page) if (!(await unlessHeld(() => maker.walk(channel, onMade)))) tally.heldChannels++;
    const last = page.at(-1);
    if (last === undefined || page.length < limits.channelsMax) return { ...found, ...tally };
    after = last;
  }
}

/** @returns false when somebody else held the lock for too long */
async function unlessHeld(work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
  } catch (error) {
    if (isLockTimeout(error)) return false;
    // A damaged chunk has already been reported as such.
    if (!isDamage(error)) throw error;
  }
  return true;
}

interface Found {
  problem: string;
  /** The block could not be compared. */
  isUnknown?: boolean;
}

/**
 * Compares a block with what it stands for. A transaction that replaces a chunk also deletes the blocks above it. So while
 * the version of the row stays the same, its chunks are the same, and a block that is made from them in between must be
 * equal. If the version has changed, the comparison is repeated.
 */
async function differenceOf(database: Database, address: BlockAddress): Promise<Found | undefined> {
  for (;;) {
    let version: string | undefined;
    let found: Found | undefined;
    try {
      const stored = await readBlock(database, address);
      if (stored === undefined) return undefined;
      version = stored.version;
      found = await comparedWithChunks(database, address, stored);
    } catch (error) {
      if (!isDamage(error)) throw error;
      version = await readBlockVersion(database, address);
      found = { problem: `it cannot be read: ${(error as Error).message}` };
    }
    if (found === undefined || version === undefined) return undefined;
    if (version === (await readBlockVersion(database, address))) return found;
  }
}

async function comparedWithChunks(
  database: Database,
  address: BlockAddress,
  stored: Block,
): Promise<Found | undefined> {
  let made: Block | undefined;
  try {
    made = await makeBlock(database, address, nextTurn);
  } catch (error) {
    if (!isDamage(error)) throw error;
    return { problem: `what it stands for cannot be read: ${(error as Error).message}`, isUnknown: true };
  }
  const problem = problemOf(address.level, stored, made);
  return problem === undefined ? undefined : { problem };
}

function problemOf(level: number, stored: Block, made: Block | undefined): string | undefined {
  const below = level === 1 ? 'its chunks' : 'the overviews below it';
  if (made === undefined) return `${below} are not all there`;
  if (!stored.contentsHash.equals(made.contentsHash)) return `its hash is not that of ${below}`;
  if (!isSameSummaries(level, stored.children, made.children)) return `its summaries are not those of ${below}`;
  if (!isSameStatistics(stored.statistics, made.statistics)) return `its statistics are not those of ${below}`;
  return undefined;
}

/** Compares decoded numbers, since the same numbers can be packed in several ways. */
function isSameSummaries(level: number, stored: Buffer, made: Buffer): boolean {
  if (stored.equals(made)) return true;
  const found = decodeIfWhole(stored, level);
  if (found === undefined) return false;
  const wanted = Object.entries(decodeSummaries(made, level)) as [keyof Summaries, Float64Array][];
  return wanted.every(([name, column]) => column.every((number, i) => Object.is(number, found[name][i])));
}

const isSameStatistics = (stored: Statistics, made: Statistics) =>
  (Object.keys(made) as (keyof Statistics)[]).every((name) => Object.is(stored[name], made[name]));

function placeOf({ channelId, level, block }: BlockAddress, channelName: string | null): string {
  const channel = channelName === null ? `channel number ${channelId}` : `channel "${channelName}"`;
  const chunks = fanOut ** level;
  return `${channel}, overview of chunks ${block * chunks} to ${(block + 1) * chunks - 1}`;
}
