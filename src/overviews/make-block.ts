import { createHash } from 'node:crypto';
import type { Database } from '../database/database.ts';
import { createPacker } from '../database/series-packer.ts';
import {
  blockSummaryOf,
  decodeIfWhole,
  emptySummaries,
  encodeSummaries,
  fanOut,
  type Summaries,
} from '../points/overview.ts';
import { noStatistics, statisticsInRange, together } from '../points/range-statistics.ts';
import type { Block, BlockAddress } from './block.ts';
import { listBlocksBelow, visitChunks } from './store.ts';

const packer = createPacker(fanOut);

/**
 * Makes a block from the chunks or blocks that are stored now. It does not store it.
 * @param rest is awaited between pieces of work, so that others get the event loop
 * @returns undefined where a child is missing or damaged, or a chunk has no possible time
 */
export function makeBlock(
  database: Database,
  address: BlockAddress,
  rest: () => Promise<void>,
): Promise<Block | undefined> {
  return address.level === 1 ? ofChunks(database, address, rest) : ofBlocks(database, address);
}

async function ofChunks(
  database: Database,
  address: BlockAddress,
  rest: () => Promise<void>,
): Promise<Block | undefined> {
  const summaries = emptySummaries(fanOut);
  const hash = createHash('sha256');
  let statistics = noStatistics;
  let count = 0;
  await visitChunks(database, address, rest, ({ times, values, contentHash, ...chunk }) => {
    for (const [name, number] of Object.entries(chunk)) summaries[name as keyof Summaries][count] = number;
    count++;
    hash.update(contentHash);
    statistics = together(statistics, statisticsInRange(times, values));
  });
  if (count < fanOut || summaries.timeMin.some(Number.isNaN)) return undefined;
  return { children: encodeSummaries(summaries, 1, packer), statistics, contentsHash: hash.digest() };
}

async function ofBlocks(database: Database, address: BlockAddress): Promise<Block | undefined> {
  const below = await listBlocksBelow(database, address);
  if (below.length < fanOut) return undefined;
  const summaries = emptySummaries(fanOut);
  const hash = createHash('sha256');
  let statistics = noStatistics;
  for (const [i, block] of below.entries()) {
    const children = decodeIfWhole(block.children, address.level - 1);
    if (children === undefined) return undefined;
    const summary = blockSummaryOf(children);
    for (const [name, number] of Object.entries(summary)) summaries[name as keyof Summaries][i] = number;
    hash.update(block.contentsHash);
    statistics = together(statistics, block.statistics);
  }
  return { children: encodeSummaries(summaries, address.level, packer), statistics, contentsHash: hash.digest() };
}
