import type { ChannelAddress } from '../database/channel-address.ts';
import type { Database } from '../database/database.ts';
import { isLockTimeout } from '../database/failures.ts';
import type { Patience } from '../database/transactions.ts';
import { nextTurn } from '../lib/turns.ts';
import { fanOut } from '../points/overview.ts';
import type { BlockAddress } from './block.ts';
import type { OverviewLimits } from './limits.ts';
import { makeBlock } from './make-block.ts';
import { findLackingBlocks, findLackingParents, type LackingPiece, storeBlocks } from './store.ts';

interface MakerDependencies {
  database: Database;
  limits: Pick<OverviewLimits, 'walkedChunksMax'>;
  patience: Patience;
}

/**
 * Makes blocks one after the other and stores them.
 * @param keep runs a piece of work, and then pauses for as long as it wants
 * @param isOver whether to begin nothing more
 */
export function createMaker(
  { database, limits, patience }: MakerDependencies,
  keep: <Result>(work: () => Promise<Result>) => Promise<Result>,
  isOver: () => boolean,
) {
  /** @returns whether it has been stored */
  async function make(address: BlockAddress): Promise<boolean> {
    const block = await makeBlock(database, address, nextTurn);
    return block !== undefined && (await storeBlocks(database, [{ address, ...block }], patience)) === 1;
  }

  /**
   * Makes a block, then the blocks above it. It goes up while the block is the last child of its parent, or, with
   * `isForgotten`, always: the blocks above may have been deleted with it.
   * @returns the block that could not be stored, because somebody else held the lock of its channel
   */
  async function makeUpwards(
    { dataId, channelId, ...address }: BlockAddress,
    isForgotten: boolean,
  ): Promise<BlockAddress | undefined> {
    for (let { level, block } = address; level <= levelsMax; level++, block = Math.floor(block / fanOut)) {
      const one = { dataId, channelId, level, block };
      try {
        const isThere = await keep(() => make(one));
        if (!isThere || !(isForgotten || block % fanOut === fanOut - 1)) return undefined;
      } catch (error) {
        if (isLockTimeout(error)) return one;
        throw error;
      }
    }
    return undefined;
  }

  /**
   * Makes all missing blocks of a channel.
   * @param onMade is called for each block
   */
  async function walk(channel: ChannelAddress, onMade: () => void = () => {}): Promise<void> {
    const makeAll = async (level: number, lacking: number[]) => {
      for (const block of lacking) if (!isOver() && (await keep(() => make({ ...channel, level, block })))) onMade();
    };
    let piece: LackingPiece = { blocks: [], next: 0 };
    while (piece.next !== null && !isOver()) {
      const from: number = piece.next;
      piece = await keep(() => findLackingBlocks(database, channel, from, limits.walkedChunksMax));
      await makeAll(1, piece.blocks);
    }
    for (let level = 2; level <= levelsMax && !isOver(); level++) {
      await makeAll(level, await keep(() => findLackingParents(database, channel, level)));
    }
  }

  return { make, makeUpwards, walk };
}

/** A block of this level stands for 16 million chunks. */
const levelsMax = 4;
