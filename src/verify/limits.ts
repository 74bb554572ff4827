/** What bounds the statements of the command `verify`. */
export const verifyLimits = {
  /** Contents that one statement hashes. */
  pageContentsMax: 1_000,
  /** Channels whose counters one statement compares with their chunks. */
  pageChannelsMax: 500,
  /** Overviews whose keys one statement lists; each is then checked by itself. */
  pageOverviewsMax: 1_000,
  /** Chunks of a channel that one statement searches for missing overviews. */
  walkedChunksMax: 16_384,
  /** Longest wait for the lock of a channel whose overviews are rebuilt. */
  lockMsMax: 5_000,
  /**
   * While an overview is stored: after this time without an answer, PostgreSQL is asked whether it is still at work.
   */
  lateAnswerMs: 30_000,
  /** Longest wait for the answer to that question. */
  lookMsMax: 10_000,
};

export type VerifyLimits = Readonly<typeof verifyLimits>;
