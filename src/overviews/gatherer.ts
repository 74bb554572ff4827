import { createHash } from 'node:crypto';
import { createPacker } from '../database/series-packer.ts';
import { letGo } from '../lib/let-go.ts';
import { noStatistics, together } from '../lib/statistics.ts';
import { coarseColumns, emptySummaries, encodeSummaries, fanOut } from '../points/overview.ts';
import type { AddressedBlock, BlockAddress } from './block.ts';

/** What a block needs to know of a stored chunk, as ingest has it; null where there is none. */
export interface ChunkSummary {
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

/** Chunks of one block that this process has stored, by their position in the block; 200 bytes each. */
interface Gathering {
  block: number;
  chunks: Map<number, HeldChunk>;
}

interface HeldChunk {
  /** The summary of the chunk, and the statistics of its readings. */
  numbers: Float64Array;
  contentHash: Buffer;
}

/**
 * Gathers blocks from chunks while they are stored, so that nothing has to be read back. It sees only the chunks that this
 * process stores, and holds only the newest blocks of each channel. All other blocks are made later from what is stored.
 * @param channelsMax channels whose chunks it holds; beyond that it drops the channels whose newest block began first
 */
export function createGatherer(channelsMax: number) {
  const channels = new Map<number, Gathering[]>();
  /** The last block of each channel that became complete here. */
  const complete = new Map<number, number>();
  const packer = createPacker(fanOut);

  function gatheringOf(channelId: number, block: number): Gathering {
    const of = channels.get(channelId) ?? [];
    let found = of.find((one) => one.block === block);
    if (found === undefined) {
      found = { block, chunks: new Map() };
      of.push(found);
      if (of.length > blocksOfChannelMax) of.splice(0, 1);
      // Moved to the end, so that it is dropped last.
      channels.delete(channelId);
      channels.set(channelId, of);
      letGo(channels, channelsMax);
    }
    return found;
  }

  return {
    /** @returns the block, if this chunk completes it */
    add(dataId: string, channelId: number, chunkIndex: number, chunk: ChunkSummary): AddressedBlock | undefined {
      const block = Math.floor(chunkIndex / fanOut);
      const gathering = gatheringOf(channelId, block);
      gathering.chunks.set(chunkIndex % fanOut, held(chunk));
      if (gathering.chunks.size < fanOut) return undefined;
      const of = channels.get(channelId) as Gathering[];
      of.splice(of.indexOf(gathering), 1);
      if (of.length === 0) channels.delete(channelId);
      complete.delete(channelId);
      complete.set(channelId, block);
      letGo(complete, channelsMax);
      return blockOf(gathering, { dataId, channelId, level: 1, block });
    },
    /** Whether this block or a later one of the channel became complete here. */
    hasCompleted: (channelId: number, block: number) => (complete.get(channelId) ?? -1) >= block,
  };

  function blockOf({ chunks }: Gathering, address: BlockAddress): AddressedBlock | undefined {
    const summaries = emptySummaries(fanOut);
    const hash = createHash('sha256');
    let statistics = noStatistics;
    for (let i = 0; i < fanOut; i++) {
      const { numbers, contentHash } = chunks.get(i) as HeldChunk;
      for (const [place, name] of coarseColumns.entries()) summaries[name][i] = numbers[place] as number;
      const [valueCount, absentCount, sum, sumRest, squares] = numbers.subarray(
        coarseColumns.length,
      ) as unknown as Five;
      statistics = together(statistics, { valueCount, absentCount, sum, sumRest, squares });
      hash.update(contentHash);
    }
    // A chunk without any possible time is in no block.
    if (summaries.timeMin.some(Number.isNaN)) return undefined;
    return { address, children: encodeSummaries(summaries, 1, packer), statistics, contentsHash: hash.digest() };
  }
}

type Five = [number, number, number, number, number];

/**
 * What is kept of a chunk: its summary in the order of `chunkColumns`, and its statistics. Copies, so that the arrays of
 * the chunk are not kept in memory.
 */
function held(chunk: ChunkSummary): HeldChunk {
  const none = Number.NaN;
  return {
    numbers: Float64Array.of(
      chunk.pointCount,
      chunk.timeMin ?? none,
      chunk.timeMax ?? none,
      chunk.valueMin ?? none,
      chunk.valueMinTime ?? none,
      chunk.valueMax ?? none,
      chunk.valueMaxTime ?? none,
      chunk.valueCount,
      chunk.absentCount,
      chunk.valueSum,
      chunk.valueSumRest,
      chunk.valueSquares,
    ),
    contentHash: Buffer.from(chunk.contentHash),
  };
}

/** Blocks of a channel that are gathered at a time: a chunk may be late by one block. */
const blocksOfChannelMax = 2;
