import { performance } from 'node:perf_hooks';
import type { ChannelAddress } from '../database/channel-address.ts';
import type { Database } from '../database/database.ts';
import { isLockTimeout, passingFailure } from '../database/failures.ts';
import type { Patience } from '../database/transactions.ts';
import { letGo } from '../lib/let-go.ts';
import { nextTurn } from '../lib/turns.ts';
import { fanOut } from '../points/overview.ts';
import type { AddressedBlock, BlockAddress } from './block.ts';
import { type ChunkSummary, createGatherer } from './gatherer.ts';
import type { OverviewLimits } from './limits.ts';
import { createMaker } from './maker.ts';
import { createPace } from './pace.ts';
import { storeBlocks } from './store.ts';

/**
 * Makes the overviews of channels in the background of ingest and reads. Nothing waits for it. A missing block only makes
 * reads slower, and is made when a read misses it. In a busy process it takes a small share of the time
 * (docs/decisions/0044-stored-overviews.md).
 */
export interface Overviews {
  /** Takes note of a chunk that has been stored, and whether it replaced another one. */
  note(address: ChannelAddress & { chunkIndex: number }, chunk: ChunkSummary, isReplacing: boolean): void;
  /** Makes the missing blocks of a channel. Does nothing when the channel was searched a short time ago. */
  complete(channel: ChannelAddress): void;
  /** Blocks and channels that wait, including the one that is being made. */
  waitingCount(): number;
  /** Resolves when nothing waits. */
  idle(): Promise<void>;
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
  /** When each channel may be searched again. */
  const walkedUntil = new Map<number, number>();
  const pauseWalks = (channelId: number, ms: number) => {
    walkedUntil.delete(channelId);
    walkedUntil.set(channelId, performance.now() + ms);
    letGo(walkedUntil, limits.waitingMax);
  };
  return {
    note({ dataId, channelId, chunkIndex }, chunk, isReplacing) {
      const own = Math.floor(chunkIndex / fanOut);
      const gathered = gatherer.add(dataId, channelId, chunkIndex, chunk);
      if (gathered !== undefined) work.addGathered(gathered);
      // When a chunk is replaced, its block and all blocks above it are deleted.
      if (isReplacing) work.addBlock({ dataId, channelId, level: 1, block: own }, true);
      else if (chunkIndex % fanOut === limits.lateChunks && own > 0 && !gatherer.hasCompleted(channelId, own - 1)) {
        work.addBlock({ dataId, channelId, level: 1, block: own - 1 }, false);
      }
    },
    complete({ dataId, channelId }) {
      if (performance.now() < (walkedUntil.get(channelId) ?? 0)) return;
      pauseWalks(channelId, limits.walkPauseMs);
      work.addChannel({ dataId, channelId }, () => pauseWalks(channelId, limits.barrenPauseMs));
    },
    waitingCount: work.waitingCount,
    idle: work.idle,
    close: work.close,
  };
}

/** The queue of what is to be made, and the loop that makes it: the cheapest work first. */
function createWork({ database, limits, report }: Options) {
  let gathered: AddressedBlock[] = [];
  const blocks = createBlockQueue();
  const channels = new Map<number, ChannelAddress & { onBarren(): void }>();
  const pace = createPace(limits);
  const patience = { ...limits, lockMsMax: limits.overviewLockMsMax };
  const maker = createMaker({ database, limits, patience }, pace.keep, () => isClosed);
  const { makeWaiting, storeTogether } = createTries({ database, limits, patience }, maker, add);
  let [working, isClosed]: [Promise<void> | undefined, boolean] = [undefined, false];

  /** How many are being made now. */
  let inWork = 0;
  const waitingCount = () => gathered.length + blocks.count() + channels.size;
  const hasRoom = () => !isClosed && waitingCount() < limits.waitingMax;

  function begin(): void {
    working ??= work().finally(() => {
      working = undefined;
      // Work may have arrived after the loop found none.
      if (waitingCount() > 0 && !isClosed) begin();
    });
  }

  async function work(): Promise<void> {
    // Runs later, not in the call that added the work; and more blocks may become complete meanwhile.
    await (waitingCount() === gathered.length ? pace.wait(limits.gatheredMs) : nextTurn());
    while (!isClosed && waitingCount() > 0) {
      try {
        inWork = 1;
        await takeNext();
      } catch (error) {
        // The database is away, or somebody holds a lock: a read that misses the block asks for it again.
        if (passingFailure(error) === undefined) report(error as Error);
      } finally {
        inWork = 0;
      }
    }
  }

  async function takeNext(): Promise<void> {
    if (gathered.length > 0) {
      const batch = gathered.slice(0, limits.gatheredBlocksMax);
      gathered = gathered.slice(limits.gatheredBlocksMax);
      return storeTogether(batch);
    }
    const block = blocks.take();
    if (block !== undefined) return makeWaiting(block);
    const [channel] = channels.values();
    if (channel === undefined) return;
    channels.delete(channel.channelId);
    let made = 0;
    await maker.walk(channel, () => void made++);
    if (made === 0) channel.onBarren();
  }

  function add(block: WaitingBlock): void {
    if (hasRoom()) blocks.add(block);
    begin();
  }

  return {
    addGathered(block: AddressedBlock): void {
      if (hasRoom() && gathered.length < limits.gatheredWaitingMax) gathered.push(block);
      begin();
    },
    addBlock: (address: BlockAddress, isForgotten: boolean) => add({ ...address, isForgotten, tries: 1 }),
    addChannel(channel: ChannelAddress, onBarren: () => void): void {
      if (!hasRoom()) return;
      channels.set(channel.channelId, { ...channel, onBarren });
      begin();
    },
    waitingCount: () => waitingCount() + inWork,
    async idle() {
      while (working !== undefined) await working;
    },
    async close() {
      isClosed = true;
      pace.end();
      await working;
    },
  };
}

/**
 * Makes what has waited. A block that could not be stored, because its channel is locked, goes back to the queue by
 * `again`.
 */
function createTries(
  { database, limits, patience }: Pick<Options, 'database' | 'limits'> & { patience: Patience },
  { makeUpwards }: Pick<ReturnType<typeof createMaker>, 'makeUpwards'>,
  again: (block: WaitingBlock) => void,
) {
  async function makeWaiting({ isForgotten, tries, ...address }: WaitingBlock): Promise<void> {
    const held = await makeUpwards(address, isForgotten);
    if (held !== undefined && tries < limits.overviewTriesMax) again({ ...held, isForgotten, tries: tries + 1 });
  }

  async function storeTogether(batch: AddressedBlock[]): Promise<void> {
    const first = { isForgotten: false, tries: 1 };
    try {
      await storeBlocks(database, batch, patience);
    } catch (error) {
      if (!isLockTimeout(error)) throw error;
      // The channel of one of them is locked: each block is tried again by itself.
      for (const { address } of batch) again({ ...address, ...first });
      return;
    }
    for (const { address } of batch) {
      if (address.block % fanOut !== fanOut - 1) continue;
      await makeWaiting({ ...address, level: 2, block: Math.floor(address.block / fanOut), ...first });
    }
  }

  return { makeWaiting, storeTogether };
}

interface WaitingBlock extends BlockAddress {
  /** The block, and those above it, may have existed before and been deleted. */
  isForgotten: boolean;
  tries: number;
}

/** A queue of blocks in the order in which they came; each block is in it once. */
function createBlockQueue() {
  const blocks = new Map<string, WaitingBlock>();
  const keyOf = ({ channelId, level, block }: BlockAddress) => `${channelId}:${level}:${block}`;
  return {
    count: () => blocks.size,
    add(block: WaitingBlock): void {
      const key = keyOf(block);
      blocks.set(key, { ...block, isForgotten: block.isForgotten || blocks.get(key)?.isForgotten === true });
    },
    take(): WaitingBlock | undefined {
      const [[key, block] = []] = blocks;
      if (key !== undefined) blocks.delete(key);
      return block;
    },
  };
}
