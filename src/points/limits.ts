/** What bounds a read of points, for all rooms that write answers. */
export const pointLimits = {
  /**
   * Points that a read fetches from PostgreSQL at a time: 0.6 MB. Ten times as many read 5 M points no faster, and leave 50
   * MB more memory in use.
   */
  pagePointsMax: 25_000,
  /**
   * The same where series are compared as they are stored, without decoding: at most 24 bytes a point. The fixed cost of a
   * statement in PostgreSQL is that of 15 chunks of 1,000 points.
   */
  seriesPagePointsMax: 75_000,
  /** Blocks of one level of an overview that are fetched at a time because parts begin in them: 5 kB each. */
  pageBlocksMax: 1_000,
  /**
   * Points that a down-sampled read keeps while it is planned, of all its channels: 16 bytes each. Where they are more, a
   * read that may show them all reads them again.
   */
  keptPointsMax: 50_000,
  /** Chunks of one statement, which lists their indexes. */
  pageChunksMax: 5_000,
  /** Points of one channel that may wait to be merged: 32 bytes each, and half as much again during a sort. */
  bufferPointsMax: 100_000,
  /** Points of a batch of several channels, merged into rows. A row with more points is a batch of its own. */
  mergedPointsMax: 8_192,
  /** The least share of page and buffer points that each channel has, however many channels are read at once. */
  sharePointsMin: 500,
  /** Channels that are read side by side, as rows; over it 422. */
  rowChannelsMax: 2_000,
  /** Points that rows hold at a time, of each channel at least its longest chunk; over it 422. */
  heldPointsMax: 2_000_000,
  /** Chunks that one read goes through in order of time, of all channels that it reads side by side; over it 422. */
  plannedChunksMax: 1_000_000,
  /**
   * Chunks outside of blocks that a down-sampled read looks up together with an overview. Where there are more, it does
   * without the overview.
   */
  looseChunksMax: 2_048,
  /** A window that is expected to hold fewer chunks than this is planned without the overview. */
  overviewChunksMin: 512,
  /**
   * Channels of a down-sampled read whose points are chosen while another is written. Each takes a connection and
   * `usualBytesMax`.
   */
  channelsAheadMax: 2,
  /** Chunks that a raw read or a long export plans at a time. */
  planPageChunksMax: 20_000,
  /** Bytes of plans, pages and buffers that every read may use. What a read needs beyond them is counted separately. */
  usualBytesMax: 2_097_152,
  /**
   * Differences of successive stored indexes that are looked at on each side of a hole, to decide whether chunks are
   * missing there.
   */
  besideStepsMax: 4,
  /** With fewer differences than this no habit is assumed: every index that is not stored is missing. */
  habitStepsMin: 3,
  /** A number of points is usual for a channel if at least this many of its chunks, and `habitShareMin` of them, have it. */
  habitChunksMin: 3,
  /** The least share of the chunks of a channel that makes their number of points a usual one. */
  habitShareMin: 0.1,
};

export type PointLimits = Readonly<typeof pointLimits>;
