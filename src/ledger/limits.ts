/** What bounds the answers of the ledger. */
export const ledgerLimits = {
  /** Channels that one request may name. */
  namedChannelsMax: 10_000,
  /** Chunks that a ledger or a certificate fetches at a time, without their arrays: about 1 MB. */
  pageChunksMax: 10_000,
  /** Revisions that their list fetches at a time, without their arrays. */
  pageRevisionsMax: 1_000,
  /** Two times must be further apart than this to count as a jump of time: a day, in seconds. */
  jumpSecondsMin: 86_400,
  /** They must also be this many times further apart than the points of the chunks beside them. */
  jumpStepsMin: 100,
};

export type LedgerLimits = Readonly<typeof ledgerLimits>;
