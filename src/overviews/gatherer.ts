import { createHash } from 'node:crypto';
import { createPacker } from '../database/series-packer.ts';
import { letGo } from '../lib/let-go.ts';
import { noStatistics, together } from '../lib/statistics.ts';
import { coarseColumns, emptySummaries, encodeSummaries, fanOut } from '../points/overview.ts';
import type { AddressedBlock, BlockAddress } from './block.ts';

/** What a block needs of a chunk that has been stored, as ingest knows it; null where there is none. */
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

/** Chunks of one block that this process has stored, by their place in it; 200 bytes each. */
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
 * Gathers blocks from chunks as they are stored, so that nothing has to be read back. It knows what this process stores and no
 * other, and the newest blocks of each channel: those that it does not get together are made of what is stored.
 * @param channelsMax channels whose chunks it holds; those whose newest block began first are let go
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
      found = { block, chunks: new Map() };
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
    /** Whether a block, or one behind it, came together here. */
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

/** What is held of a chunk, its summary in the order of `chunkColumns`: nothing that keeps its arrays in memory. */
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

/** A chunk may be late by a block. */
const blocksOfChannelMax = 2;
