/** What bounds the statements of the command `verify`. */
export const verifyLimits = {
  /** Contents that one statement hashes. */
  pageContentsMax: 1_000,
  /** Channels whose counters one statement compares with their chunks. */
  pageChannelsMax: 500,
};

export type VerifyLimits = Readonly<typeof verifyLimits>;
