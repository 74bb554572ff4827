/** The limits of keys, sessions and links: how long they last, how they are looked up, and how their use is recorded. */
export const authLimits = {
  /** Longest lifetime that a key can be given, in seconds: ten years. A key without an end is not limited by it. */
  keySecondsMax: 315_360_000,
  /** Default overlap, in which a key and its successor are both valid, in seconds. */
  keyOverlapSeconds: 86_400,
  /** Valid keys of one organization beyond which the API makes no more. The command line is not bound by it. */
  openKeysMax: 5_000,
  /** Shortest time between two records of a key's last use, in ms. */
  keyUseMsMin: 60_000,
  /** How long a cached key is used without a new look-up, in ms. A revoked key stops working within this time. */
  keyCacheMsMax: 5_000,
  /** Keys in that cache. */
  keyCacheEntriesMax: 10_000,
  /**
   * How long a cached key stays valid while the database is away or does not answer, in ms. Nobody can revoke a key
   * meanwhile, since that needs the database too.
   */
  keyOutageMsMax: 900_000,
  /** How long a request with a cached key waits for a new look-up, in ms. After that the cache is used. */
  keyRenewMsMax: 1_000,
  /** Longest wait of a request with an unknown key while the database is away, in ms. After that it gets 503. */
  strangerWaitMsMax: 28_000,
  /** Pause after a failed look-up before the next one, in ms. */
  lookUpRetryMs: 500,
  /** Largest batch of keys in one look-up. Waiting keys share a statement, and only one statement runs at a time. */
  lookUpKeysMax: 500,
  /** Organizations, users or keys that one statement of a list reads: its page. */
  listedRowsMax: 200,
  /**
   * Sessions of one key at a time, one for each browser. One more ends the oldest. The same limit holds for its links.
   */
  sessionsPerKeyMax: 100,
  /** Expired sessions or links that are removed when another one is stored. */
  endedSweptMax: 100,
  /** How long a sign-in link is valid, in seconds. */
  linkSeconds: 600,
  /** Refused sign-ins that get an audit entry each, in every refusedSignInsMs. The others are only counted. */
  refusedSignInsMax: 20,
  /** How often one audit entry sums up the refused sign-ins that were only counted, in ms. */
  refusedSignInsMs: 60_000,
};

export type AuthLimits = Readonly<typeof authLimits>;
