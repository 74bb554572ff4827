/** What bounds the answers of the time-series reads. */
export const timeseriesLimits = {
  /** Points of one channel that a down-sampled read may be asked for: fewer could not show a gap, more are no reduction. */
  downSampledPointsMin: 4,
  downSampledPointsMax: 1_000_000,
  /**
   * Bytes in which the times of one channel are remembered while its values go out: those of a million points or more. The
   * times of a longer one are read again.
   */
  timesBytesMax: 2 * 1024 * 1024,
};

export type TimeseriesLimits = Readonly<typeof timeseriesLimits>;
