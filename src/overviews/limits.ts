/** What bounds the making of overviews. */
export const overviewLimits = {
  /**
   * A block that did not become complete in memory is read back this many chunks later, so that chunks that are a little
   * late are in it.
   */
  lateChunks: 16,
  /**
   * Channels for which the chunks of the newest block are held in memory while they are stored, 13 kB each. Chunks of other
   * channels are read back to make their blocks.
   */
  gatheredChannelsMax: 2_000,
  /** How long complete blocks wait for others, to be stored in one transaction, and how many are stored at a time. */
  gatheredMs: 200,
  gatheredBlocksMax: 64,
  /**
   * Complete blocks that wait to be stored, 2 kB each and more. Further ones are dropped, and made when a read misses them.
   */
  gatheredWaitingMax: 2_000,
  /** Blocks and channels that wait to be made. Further ones are dropped, and made when a read misses them. */
  waitingMax: 100_000,
  /** The share of its time that a server process spends on making blocks: while it is busy, and while it is quiet. */
  busyShare: 0.05,
  quietShare: 0.5,
  /** A process is busy when its event loop works for more than this share of the time. */
  busyUtilization: 0.5,
  /** Longest wait for the lock of a channel. A block that does not get it goes to the end of the queue. */
  overviewLockMsMax: 100,
  /** How often the lock is tried for a block. After that the block is made when a read misses it. */
  overviewTriesMax: 10,
  /** Chunks that are searched at a time for missing blocks. */
  walkedChunksMax: 16_384,
  /**
   * How long a channel is not searched again; and how long when the last search made nothing, as where a channel regularly
   * leaves out indexes.
   */
  walkPauseMs: 10_000,
  barrenPauseMs: 300_000,
};

export type OverviewLimits = Readonly<typeof overviewLimits>;
