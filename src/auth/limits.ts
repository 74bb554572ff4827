/** What bounds the looking up of keys; how long one is used without that stands in `config.ts`. */
export const authLimits = {
  /**
   * How long a key that was known opens without the database, which cannot be asked or does not answer. Nobody can revoke a
   * key meanwhile: that takes the database too.
   */
  keyOutageMsMax: 900_000,
  /** How long a request under a known key waits for an answer of the database about it, until memory is enough. */
  keyRenewMsMax: 1_000,
  /** Longest wait of a request whose key is not known yet, while the database cannot be asked; then 503. */
  strangerWaitMsMax: 28_000,
  /** How long after a failure keys are looked up again. */
  lookUpRetryMs: 500,
  /** Keys that one statement looks up: those that wait share it, and only one runs at a time. */
  lookUpKeysMax: 500,
};

export type AuthLimits = Readonly<typeof authLimits>;
