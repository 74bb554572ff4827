/** What bounds a read of points, whoever writes its answer. */
export const pointLimits = {
  /**
   * Points that a read fetches from PostgreSQL at a time: 0.6 MB. Ten times as many read 5 M points no faster and leave
   * 50 MB more memory behind.
   */
  pagePointsMax: 25_000,
  /**
   * The same of points that are compared as they are stored, without arrays: 24 bytes each at most. A statement takes
   * PostgreSQL as long as 15 chunks of 1,000 points.
   */
  seriesPagePointsMax: 75_000,
  /** Blocks of one level of an overview that are fetched at a time, because parts of an answer begin in them: 5 kB each. */
  pageBlocksMax: 1_000,
  /** Chunks of one statement: it lists them by index. */
  pageChunksMax: 5_000,
  /** Points of one channel that may wait to be merged: 32 bytes each, and half as much again while they are sorted. */
  bufferPointsMax: 100_000,
  /** Points of several channels, merged into rows, that are given out together; a longer row is given out whole. */
  mergedPointsMax: 8_192,
  /** The share of the points of pages and buffers that each channel has, however many are read at once. */
  sharePointsMin: 500,
  /** Channels that are read side by side, as rows; over it 422. */
  rowChannelsMax: 2_000,
  /** Points that rows hold at a time, of each channel at least its longest chunk; over it 422. */
  heldPointsMax: 2_000_000,
  /** Chunks that one read goes through in order of time, of all channels that it reads side by side; over it 422. */
  plannedChunksMax: 1_000_000,
  /** Chunks that a down-sampled read looks up beside the overview of its channel; where there are more, it does without. */
  looseChunksMax: 2_048,
  /** A window that is expected to hold fewer chunks than this is planned without the overview. */
  overviewChunksMin: 512,
  /** Channels of a down-sampled read whose points are chosen while another is written: each takes a connection and `usualBytesMax`. */
  channelsAheadMax: 2,
  /** Chunks that a raw read or a long export plans at a time. */
  planPageChunksMax: 20_000,
  /** Bytes of plans, pages and buffers that every read has room for; what one needs beyond it is counted apart. */
  usualBytesMax: 2_097_152,
  /** Steps from one stored chunk to the next that are looked at on each side of a hole, to tell whether chunks are missing. */
  besideStepsMax: 4,
  /** Of fewer steps beside it no habit is learnt: then what is not there is missing. */
  habitStepsMin: 3,
  /** A number of points is usual for a channel when so many of its chunks have it, */
  habitChunksMin: 3,
  /** and this share of them. */
  habitShareMin: 0.1,
};

export type PointLimits = Readonly<typeof pointLimits>;
