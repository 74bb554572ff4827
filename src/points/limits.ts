/** What bounds a read of points, whoever writes its answer. */
export const pointLimits = {
  /**
   * Points that a read fetches from PostgreSQL at a time: 0.6 MB. Ten times as many read 5 M points no faster and leave
   * 50 MB more memory behind.
   */
  pagePointsMax: 25_000,
  /** Chunks of one statement: it lists them by index. */
  pageChunksMax: 5_000,
  /** Points of one channel that may wait to be merged: 32 bytes each, and as much again while they are sorted. */
  bufferPointsMax: 500_000,
  /** Points of several channels, merged into rows, that are given out together; a longer row is given out whole. */
  mergedPointsMax: 8_192,
  /** The share of the points of pages and buffers that each channel has, however many are read at once. */
  sharePointsMin: 1_000,
};

export type PointLimits = Readonly<typeof pointLimits>;
