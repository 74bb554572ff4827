import { performance } from 'node:perf_hooks';
import type { ChannelAddress } from '../database/channel-address.ts';
import type { Database } from '../database/database.ts';
import { passingFailure } from '../database/failures.ts';
import type { Patience } from '../database/transactions.ts';
import { letGo } from '../lib/let-go.ts';
import { nextTurn } from '../lib/turns.ts';
import { fanOut } from '../points/overview.ts';
import type { BlockAddress } from './block.ts';
import { createGatherer, type GatheredBlock, type StoredChunk } from './gatherer.ts';
import type { OverviewLimits } from './limits.ts';
import { createMaker } from './maker.ts';
import { createPace } from './pace.ts';
import { storeGathered } from './store.ts';

/**
 * Makes the overviews of channels, behind ingest and reads. Nobody waits for it, and what it does not do is only slower to read: a
 * block that is missing is made when a read has missed it. It takes a small share of the time of a busy process
 * (docs/decisions/0044-stored-overviews.md).
 */
export interface Overviews {
  /** Learns of a chunk that has been stored, and whether it has replaced another one. */
  note(address: ChannelAddress & { chunkIndex: number }, chunk: StoredChunk, isReplacing: boolean): void;
  /** Makes what is missing in a channel; again after a while only. */
  complete(channel: ChannelAddress): void;
  /** Blocks and channels that wait. */
  waitingCount(): number;
  /** Resolves when nothing waits. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

interface Options {
  database: Database;
  limits: OverviewLimits & Pick<Patience, 'lateAnswerMs' | 'lookMsMax'>;
  report(error: Error): void;
}

export function createOverviews({ database, limits, report }: Options): Overviews {
  const gatherer = createGatherer(limits.gatheredChannelsMax);
  const work = createWork({ database, limits, report });
  /** When channels were looked through. */
  const walkedAt = new Map<number, number>();
  return {
    note({ dataId, channelId, chunkIndex }, chunk, isReplacing) {
      const own = Math.floor(chunkIndex / fanOut);
      const gathered = gatherer.add(dataId, channelId, chunkIndex, chunk);
      if (gathered !== undefined) work.addGathered(gathered);
      // A block of a chunk that was replaced has been forgotten, and all above it.
      if (isReplacing) work.addBlock({ dataId, channelId, level: 1, block: own }, true);
      else if (chunkIndex % fanOut === limits.lateChunks && own > 0 && !gatherer.hasCompleted(channelId, own - 1)) {
        work.addBlock({ dataId, channelId, level: 1, block: own - 1 }, false);
      }
    },
    complete({ dataId, channelId }) {
      const now = performance.now();
      if (now - (walkedAt.get(channelId) ?? Number.NEGATIVE_INFINITY) < limits.walkPauseMs) return;
      walkedAt.delete(channelId);
      walkedAt.set(channelId, now);
      letGo(walkedAt, limits.waitingMax);
      work.addChannel({ dataId, channelId });
    },
    waitingCount: work.waitingCount,
    settled: work.settled,
    close: work.close,
  };
}

/** What waits to be made, and the one who makes it: what costs least first. */
function createWork({ database, limits, report }: Options) {
  let gathered: GatheredBlock[] = [];
  const blocks = new Map<string, BlockAddress & { isForgotten: boolean }>();
  const channels = new Map<number, ChannelAddress>();
  const pace = createPace(limits);
  const patience = { ...limits, lockMsMax: limits.overviewLockMsMax };
  const { makeUpwards, walk } = createMaker({ database, limits, patience }, pace.keep, () => isClosed);
  let working: Promise<void> | undefined;
  let isClosed = false;

  const waitingCount = () => gathered.length + blocks.size + channels.size;
  const hasRoom = () => !isClosed && waitingCount() < limits.waitingMax;

  function begin(): void {
    working ??= work().finally(() => {
      working = undefined;
      // What has come since it found nothing more.
      if (!isClosed && waitingCount() > 0) begin();
    });
  }

  async function work(): Promise<void> {
    // Not in the turn of whoever has told of it, and others may come together meanwhile.
    await (waitingCount() === gathered.length ? pace.wait(limits.gatheredMs) : nextTurn());
    while (!isClosed && waitingCount() > 0) {
      try {
        await takeNext();
      } catch (error) {
        // Away, or held by somebody else: a read that misses it asks for it again.
        if (passingFailure(error) === undefined) report(error as Error);
      }
    }
  }

  async function takeNext(): Promise<void> {
    if (gathered.length > 0) {
      const some = gathered.slice(0, limits.gatheredBlocksMax);
      gathered = gathered.slice(limits.gatheredBlocksMax);
      return storeTogether(some);
    }
    const [[key, block] = []] = blocks;
    if (key !== undefined && block !== undefined) {
      blocks.delete(key);
      return makeUpwards(block, block.isForgotten);
    }
    const [channel] = channels.values();
    if (channel === undefined) return;
    channels.delete(channel.channelId);
    await walk(channel);
  }

  async function storeTogether(some: GatheredBlock[]): Promise<void> {
    await storeGathered(database, some, patience);
    for (const { address } of some) {
      if (address.block % fanOut !== fanOut - 1) continue;
      await makeUpwards({ ...address, level: 2, block: Math.floor(address.block / fanOut) }, false);
    }
  }

  return {
    addGathered(block: GatheredBlock): void {
      if (!hasRoom()) return;
      gathered.push(block);
      begin();
    },
    addBlock(address: BlockAddress, isForgotten: boolean): void {
      const key = `${address.channelId}:${address.block}`;
      if (!hasRoom()) return;
      blocks.set(key, { ...address, isForgotten: isForgotten || blocks.get(key)?.isForgotten === true });
      begin();
    },
    addChannel(channel: ChannelAddress): void {
      if (!hasRoom()) return;
      channels.set(channel.channelId, channel);
      begin();
    },
    waitingCount,
    async settled() {
      while (working !== undefined) await working;
    },
    async close() {
      isClosed = true;
      pace.end();
      await working;
    },
  };
}
