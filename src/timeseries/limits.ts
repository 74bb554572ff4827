/** What bounds the answers of the time-series reads. */
export const timeseriesLimits = {
  /**
   * Points of one channel that a down-sampled read may ask for. Fewer could not show a gap, and more would be no reduction.
   */
  downSampledPointsMin: 4,
  downSampledPointsMax: 1_000_000,
  /**
   * Bytes for the times of one channel, which are remembered while its values go out: enough for a million points or more.
   * A channel with more is read again.
   */
  timesBytesMax: 2 * 1024 * 1024,
};

export type TimeseriesLimits = Readonly<typeof timeseriesLimits>;
