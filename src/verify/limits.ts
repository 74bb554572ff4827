/** What bounds the statements of the command `verify`. */
export const verifyLimits = {
  /** Contents that one statement hashes. */
  pageContentsMax: 1_000,
  /** Channels whose counters one statement compares with their chunks. */
  pageChannelsMax: 500,
  /** Overviews whose keys one statement lists; each is then looked at by itself. */
  pageOverviewsMax: 1_000,
  /** Chunks of a channel that one statement looks through for overviews that are missing. */
  walkedChunksMax: 16_384,
  /** Longest wait for the lock of a channel whose overviews are made. */
  lockMsMax: 5_000,
  /** Wait for an answer of PostgreSQL while one is stored, until it is asked whether it is still at work. */
  lateAnswerMs: 30_000,
  /** Wait for the answer to that. */
  lookMsMax: 10_000,
};

export type VerifyLimits = Readonly<typeof verifyLimits>;
