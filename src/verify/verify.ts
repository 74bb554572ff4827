import { type ContentKey, type ContentTable, contentPlaceOf, firstOfAll, isDamage } from '../database/contents.ts';
import type { Database } from '../database/database.ts';
import { checkOverviews, type RepairedOverviews, repairOverviews } from '../overviews/check-overviews.ts';
import { type VerifyLimits, verifyLimits } from './limits.ts';
import {
  type CheckedChannel,
  type CheckedContent,
  checkChannels,
  checkContents,
  listContents,
  scopesOf,
  type VerifiedScope,
} from './store.ts';

/*
 * Checks whether what is stored is still what was acknowledged. Every content is hashed again and compared with its
 * stored hash. The counters of every channel are compared with its chunks, and so is every overview. It may run beside
 * a server: a chunk and its hash, a channel and its chunks, an overview and its chunks are each read in one snapshot.
 */

/** One thing that is wrong, in words that identify it. */
export interface Difference {
  dataId: string;
  /** The channel, and for a content also its chunk and revision. */
  place: string;
  problem: string;
}

export interface Tally {
  checked: number;
  differ: number;
}

export interface Verification {
  chunks: Tally;
  revisions: Tally;
  channels: Tally;
  overviews: Tally;
  /** Only where overviews were to be repaired. */
  repaired?: Repaired;
}

/** The result of repairing overviews; nothing else can be repaired. */
export type Repaired = Pick<RepairedOverviews, 'made' | 'left' | 'heldChannels'>;

/**
 * Verifies the whole database. Its memory does not grow with the database.
 * @param onDifference is called with each difference when it is found
 * @param given also whether overviews are repaired; nothing else can be
 * @throws when the database cannot be read; a single content that cannot be read is a difference
 */
export async function verify(
  database: Database,
  onDifference: (difference: Difference) => void,
  { repairs = false, ...given }: Partial<VerifyLimits> & { repairs?: boolean } = {},
): Promise<Verification> {
  const limits = { ...verifyLimits, ...given };
  const { pageContentsMax, pageChannelsMax } = limits;
  const inAll = async (table: ContentTable | 'channels', verifyScope: (scope: VerifiedScope) => Promise<Tally>) => {
    const tally = { checked: 0, differ: 0 };
    for await (const scope of scopesOf(database, table)) {
      const { checked, differ } = await verifyScope(scope);
      tally.checked += checked;
      tally.differ += differ;
    }
    return tally;
  };
  const contents = (table: ContentTable) =>
    inAll(table, (scope) => verifyContents({ database, table, scope }, pageContentsMax, onDifference));
  return {
    chunks: await contents('chunks'),
    revisions: await contents('chunk_revisions'),
    channels: await inAll('channels', (scope) => verifyChannels(database, scope, pageChannelsMax, onDifference)),
    ...(await verifyOverviews(database, { limits, repairs }, onDifference)),
  };
}

async function verifyOverviews(
  database: Database,
  { limits, repairs }: { limits: VerifyLimits; repairs: boolean },
  onDifference: (difference: Difference) => void,
): Promise<Pick<Verification, 'overviews' | 'repaired'>> {
  const { pageOverviewsMax, pageChannelsMax, walkedChunksMax, ...patience } = limits;
  const bounds = { blocksMax: pageOverviewsMax, channelsMax: pageChannelsMax, walkedChunksMax };
  if (!repairs) {
    const { checked, differ } = await checkOverviews({ database, limits: bounds }, onDifference);
    return { overviews: { checked, differ } };
  }
  const { checked, differ, ...repaired } = await repairOverviews({ database, limits: bounds, patience }, onDifference);
  return { overviews: { checked, differ }, repaired };
}

interface Contents {
  database: Database;
  table: ContentTable;
  scope: VerifiedScope;
}

async function verifyContents(
  contents: Contents,
  pageMax: number,
  onDifference: (difference: Difference) => void,
): Promise<Tally> {
  const tally = { checked: 0, differ: 0 };
  for (let after: ContentKey = firstOfAll; ; ) {
    const page = await checkPage(contents, after, pageMax);
    for (const content of page) {
      tally.checked++;
      if (content.problem === null) continue;
      tally.differ++;
      onDifference({ dataId: content.dataId, place: contentPlaceOf(content), problem: content.problem });
    }
    if (page.length < pageMax) return tally;
    after = page.at(-1) as CheckedContent;
  }
}

/** If PostgreSQL cannot read a page because a block of it is damaged, its contents are read one by one. */
async function checkPage(
  { database, table, scope }: Contents,
  after: ContentKey,
  pageMax: number,
): Promise<CheckedContent[]> {
  try {
    return await checkContents(database, table, scope, after, pageMax);
  } catch (error) {
    if (!isDamage(error)) throw error;
  }
  const contents: CheckedContent[] = [];
  let before = after;
  for (const key of await listContents(database, table, scope, after, pageMax)) {
    try {
      contents.push(...(await checkContents(database, table, scope, before, 1)));
    } catch (error) {
      if (!isDamage(error)) throw error;
      contents.push({ ...key, channelName: null, problem: `it cannot be read: ${(error as Error).message}` });
    }
    before = key;
  }
  return contents;
}

async function verifyChannels(
  database: Database,
  scope: VerifiedScope,
  pageMax: number,
  onDifference: (difference: Difference) => void,
): Promise<Tally> {
  const tally = { checked: 0, differ: 0 };
  for (let after: Pick<CheckedChannel, 'dataId' | 'channelId'> = firstOfAll; ; ) {
    const page = await checkChannels(database, scope, after, pageMax);
    for (const { dataId, channelName, problem } of page) {
      tally.checked++;
      if (problem === null) continue;
      tally.differ++;
      onDifference({ dataId, place: `channel "${channelName}"`, problem });
    }
    if (page.length < pageMax) return tally;
    after = page.at(-1) as CheckedChannel;
  }
}
