import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChannelAddress } from '../database/channel-address.ts';
import type { Database } from '../database/database.ts';
import { passingFailure } from '../database/failures.ts';
import type { Patience } from '../database/transactions.ts';
import { nextTurn } from '../lib/turns.ts';
import { fanOut } from '../points/overview.ts';
import type { BlockAddress } from './block.ts';
import type { OverviewLimits } from './limits.ts';
import { createMaker } from './maker.ts';

/**
 * Makes the overviews of channels, behind ingest and reads. Nobody waits for it, and what it does not do is only slower to read: a
 * block that is missing is made when a read has missed it. It takes a small share of the time of a busy process
 * (docs/decisions/0044-stored-overviews.md).
 */
export interface Overviews {
  /** Learns of a chunk that has been stored, and whether it has replaced another one. */
  note(dataId: string, channelId: number, chunkIndex: number, isReplacing: boolean): void;
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
  const blocks = new Map<string, WaitingBlock>();
  const channels = new Map<number, ChannelAddress>();
  /** When channels were looked through. */
  const walkedAt = new Map<number, number>();
  const pace = createPace(limits);
  const patience = { ...limits, lockMsMax: limits.overviewLockMsMax };
  const { makeUpwards, walk } = createMaker({ database, limits, patience }, pace.keep, () => isClosed);
  let working: Promise<void> | undefined;
  let isClosed = false;

  const waitingCount = () => blocks.size + channels.size;

  function add<Key, Value>(queue: Map<Key, Value>, key: Key, value: Value): void {
    if (isClosed || waitingCount() >= limits.waitingMax) return;
    queue.set(key, value);
    begin();
  }

  function begin(): void {
    working ??= work().finally(() => {
      working = undefined;
      // What has come since it found nothing more.
      if (!isClosed && waitingCount() > 0) begin();
    });
  }

  async function makeWaiting({ isForgotten, tries, ...address }: WaitingBlock): Promise<void> {
    const held = await makeUpwards(address, isForgotten);
    if (held === undefined || tries >= limits.overviewTriesMax) return;
    const key = keyOf(held);
    if (!blocks.has(key)) add(blocks, key, { ...held, isForgotten, tries: tries + 1 });
  }

  async function work(): Promise<void> {
    // Not in the turn of whoever has told of it.
    await nextTurn();
    for (;;) {
      const [[key, block] = []] = blocks;
      const [channel] = channels.values();
      if (isClosed || (block === undefined && channel === undefined)) return;
      if (key !== undefined) blocks.delete(key);
      else if (channel !== undefined) channels.delete(channel.channelId);
      try {
        if (block !== undefined) await makeWaiting(block);
        else if (channel !== undefined) await walk(channel);
      } catch (error) {
        // Away, or held by somebody else: a read that misses it asks for it again.
        if (passingFailure(error) === undefined) report(error as Error);
      }
    }
  }

  return {
    note(dataId, channelId, chunkIndex, isReplacing) {
      const own = Math.floor(chunkIndex / fanOut);
      const block = isReplacing ? own : own - 1;
      if (block < 0 || (!isReplacing && chunkIndex % fanOut !== limits.lateChunks)) return;
      const address = { dataId, channelId, level: 1, block };
      const key = keyOf(address);
      // A block of a chunk that was replaced has been forgotten, and all above it.
      const isForgotten = isReplacing || blocks.get(key)?.isForgotten === true;
      add(blocks, key, { ...address, isForgotten, tries: 1 });
    },
    complete({ dataId, channelId }) {
      const now = performance.now();
      if (now - (walkedAt.get(channelId) ?? Number.NEGATIVE_INFINITY) < limits.walkPauseMs) return;
      walkedAt.delete(channelId);
      walkedAt.set(channelId, now);
      for (const [oldest] of walkedAt) {
        if (walkedAt.size <= limits.waitingMax) break;
        walkedAt.delete(oldest);
      }
      add(channels, channelId, { dataId, channelId });
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

interface WaitingBlock extends BlockAddress {
  /** It may have been there before, with those above it. */
  isForgotten: boolean;
  tries: number;
}

const keyOf = ({ channelId, level, block }: BlockAddress) => `${channelId}:${level}:${block}`;

/** Rests after each piece of work, the longer the busier the process is. */
function createPace({ busyShare, quietShare, busyUtilization }: OverviewLimits) {
  const ending = new AbortController();
  let before = performance.eventLoopUtilization();
  return {
    async keep<Result>(work: () => Promise<Result>): Promise<Result> {
      const begunAt = performance.now();
      try {
        return await work();
      } finally {
        const now = performance.eventLoopUtilization();
        const { utilization } = performance.eventLoopUtilization(now, before);
        before = now;
        const share = utilization > busyUtilization ? busyShare : quietShare;
        const pauseMs = (performance.now() - begunAt) * (1 / share - 1);
        await sleep(pauseMs, undefined, { ref: false, signal: ending.signal }).catch(() => {});
      }
    },
    end: () => ending.abort(),
  };
}
