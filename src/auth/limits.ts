/** What bounds keys: how long they last, how they are looked up, and how their use is noted. */
export const authLimits = {
  /** Longest time after which a key is told to end, in seconds: ten years. */
  keySecondsMax: 315_360_000,
  /** How long a key and its successor both open when nobody says, in seconds. */
  keyOverlapSeconds: 86_400,
  /** Keys of one organization that open, beyond which the API makes no more; the command line does. */
  openKeysMax: 5_000,
  /** The last use of a key is noted at most this often. */
  keyUseMsMin: 60_000,
  /** How long a key is used without looking it up again: a revoked one stops to open within this time. */
  keyCacheMsMax: 5_000,
  /** Keys that are remembered so. */
  keyCacheEntriesMax: 10_000,
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
  /** Organizations, users or keys that one statement of a list reads. */
  listedRowsMax: 200,
  /** Sessions of one key at a time: in how many browsers it is signed in. For one more the oldest ends; so with links. */
  sessionsPerKeyMax: 100,
  /** Sessions and links whose time is over that are removed when another one is stored. */
  endedSweptMax: 100,
  /** How long a link that signs in is worth something, in seconds. */
  linkSeconds: 600,
  /** Refused sign-ins that the audit log has one by one in each refusedSignInsMs; the others are only counted. */
  refusedSignInsMax: 20,
  /** How often the refused sign-ins that were only counted are summed up in the audit log. */
  refusedSignInsMs: 60_000,
};

export type AuthLimits = Readonly<typeof authLimits>;
