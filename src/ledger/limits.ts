/** What bounds the answers of the ledger. */
export const ledgerLimits = {
  /** Channels that one request may name. */
  namedChannelsMax: 10_000,
  /** Chunks whose facts, without their arrays, a ledger or a certificate fetches at a time: about 1 MB. */
  pageChunksMax: 10_000,
  /** Revisions of chunks, without their arrays, that their list fetches at a time. */
  pageRevisionsMax: 1_000,
  /** Seconds that times must at least be apart to be shown as a jump of time: a day. */
  jumpSecondsMin: 86_400,
  /** And so many times as far as the points beside them are from each other. */
  jumpStepsMin: 100,
};

export type LedgerLimits = Readonly<typeof ledgerLimits>;
