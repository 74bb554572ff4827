/** What bounds the making of overviews. */
export const overviewLimits = {
  /** Blocks are made so many chunks after their last one came, so that those which are late by a little are in them. */
  lateChunks: 16,
  /** Channels of which the chunks of the newest block are held as they are stored, 13 kB each; blocks of others are read back when a read misses them. */
  gatheredChannelsMax: 2_000,
  /** How long blocks that came together wait for others, to be stored with them, and how many are stored at a time. */
  gatheredMs: 200,
  gatheredBlocksMax: 64,
  /** Blocks that came together and wait, 2 kB each and more; what is more is made when it is missed by a read. */
  gatheredWaitingMax: 2_000,
  /** Blocks, and channels, that wait to be made; what is more is made when it is missed by a read. */
  waitingMax: 100_000,
  /** How much of its time a server process gives to blocks that are read back; and to those that a read has missed, while it is quiet. */
  busyShare: 0.05,
  quietShare: 0.5,
  /** A process is busy when its event loop is at work for more than this share of the time. */
  busyUtilization: 0.5,
  /** Longest wait for the lock of a channel; a block that does not get it goes behind the others, */
  overviewLockMsMax: 100,
  /** and so often; then it is made when a read misses it. */
  overviewTriesMax: 10,
  /** Chunks that are looked through at a time for blocks that are missing. */
  walkedChunksMax: 16_384,
  /** How long a channel is not looked through again, and how long where nothing could be made, as where indexes are left out by habit. */
  walkPauseMs: 10_000,
  barrenPauseMs: 300_000,
};

export type OverviewLimits = Readonly<typeof overviewLimits>;
