import { createHash } from 'node:crypto';
import { createPacker } from '../database/series-packer.ts';
import { letGo } from '../lib/let-go.ts';
import { noStatistics, type Statistics, together } from '../lib/statistics.ts';
import { emptySummaries, encodeSummaries, fanOut, type Summaries } from '../points/overview.ts';
import type { Block, BlockAddress } from './block.ts';

/** What a block needs of a chunk that has been stored, as ingest knows it; null where there is none. */
export interface StoredChunk {
  pointCount: number;
  timeMin: number | null;
  timeMax: number | null;
  valueMin: number | null;
  valueMax: number | null;
  valueMinTime: number | null;
  valueMaxTime: number | null;
  valueCount: number;
  absentCount: number;
  valueSum: number;
  valueSumRest: number;
  valueSquares: number;
  contentHash: Buffer;
}

export interface GatheredBlock extends Block {
  address: BlockAddress;
}

/** Chunks of one block that this process has stored: 7 kB. */
interface Gathering {
  block: number;
  summaries: Summaries;
  statistics: (Statistics | undefined)[];
  hashes: Buffer;
  count: number;
}

const hashBytes = 32;

/**
 * Gathers blocks from chunks as they are stored, so that nothing has to be read back. It knows what this process stores and no
 * other, and the newest blocks of each channel: those that it does not get together are made of what is stored.
 * @param channelsMax channels whose chunks it holds; those that have been quiet for longest are let go
 */
export function createGatherer(channelsMax: number) {
  const channels = new Map<number, Gathering[]>();
  /** The last block of a channel that came together here. */
  const complete = new Map<number, number>();
  const packer = createPacker(fanOut);

  function gatheringOf(channelId: number, block: number): Gathering {
    const of = channels.get(channelId) ?? [];
    let found = of.find((one) => one.block === block);
    if (found === undefined) {
      found = emptyGathering(block);
      of.push(found);
      if (of.length > blocksOfChannelMax) of.splice(0, 1);
      // The last one to be let go now.
      channels.delete(channelId);
      channels.set(channelId, of);
      letGo(channels, channelsMax);
    }
    return found;
  }

  return {
    /** @returns the block, when this is the chunk that was missing */
    add(dataId: string, channelId: number, chunkIndex: number, chunk: StoredChunk): GatheredBlock | undefined {
      const block = Math.floor(chunkIndex / fanOut);
      const gathering = gatheringOf(channelId, block);
      place(gathering, chunkIndex % fanOut, chunk);
      if (gathering.count < fanOut) return undefined;
      const of = channels.get(channelId) as Gathering[];
      of.splice(of.indexOf(gathering), 1);
      if (of.length === 0) channels.delete(channelId);
      complete.delete(channelId);
      complete.set(channelId, block);
      letGo(complete, channelsMax);
      return blockOf(gathering, { dataId, channelId, level: 1, block });
    },
    /** Whether a block, or one behind it, came together here. */
    hasCompleted: (channelId: number, block: number) => (complete.get(channelId) ?? -1) >= block,
  };

  function blockOf({ summaries, statistics, hashes }: Gathering, address: BlockAddress): GatheredBlock | undefined {
    // A chunk without any possible time is in no block.
    if (summaries.timeMin.some(Number.isNaN)) return undefined;
    return {
      address,
      children: encodeSummaries(summaries, 1, packer),
      statistics: (statistics as Statistics[]).reduce(together, noStatistics),
      contentsHash: createHash('sha256').update(hashes).digest(),
    };
  }
}

/** A chunk may be late by a block. */
const blocksOfChannelMax = 2;

const emptyGathering = (block: number): Gathering => ({
  block,
  summaries: emptySummaries(fanOut),
  statistics: Array.from({ length: fanOut }),
  hashes: Buffer.alloc(fanOut * hashBytes),
  count: 0,
});

/** Puts a chunk to its place, also in that of one that it has replaced. */
function place(gathering: Gathering, i: number, chunk: StoredChunk): void {
  const { summaries, statistics, hashes } = gathering;
  if (statistics[i] === undefined) gathering.count++;
  statistics[i] = {
    valueCount: chunk.valueCount,
    absentCount: chunk.absentCount,
    sum: chunk.valueSum,
    sumRest: chunk.valueSumRest,
    squares: chunk.valueSquares,
  };
  chunk.contentHash.copy(hashes, i * hashBytes);
  summaries.pointCount[i] = chunk.pointCount;
  summaries.timeMin[i] = chunk.timeMin ?? Number.NaN;
  summaries.timeMax[i] = chunk.timeMax ?? Number.NaN;
  summaries.valueMin[i] = chunk.valueMin ?? Number.NaN;
  summaries.valueMinTime[i] = chunk.valueMinTime ?? Number.NaN;
  summaries.valueMax[i] = chunk.valueMax ?? Number.NaN;
  summaries.valueMaxTime[i] = chunk.valueMaxTime ?? Number.NaN;
}
