/** Bounds of the test mode. Each is given to what it bounds and stands in the error, or the answer, that it causes. */
export const testingLimits = {
  /** Requests that the journal keeps; the oldest go first. */
  journalRequestsMax: 10_000,
  /** Bytes of request bodies that the journal keeps. */
  journalBytesMax: 64 * 1024 * 1024,
  /** Longest wait for requests that have not come yet, in seconds. */
  waitSecondsMax: 300,
  /** Rules of faults at one time. */
  faultRulesMax: 1_000,
  /** Longest delay that a rule of faults may ask for, in milliseconds. */
  faultDelayMsMax: 3_600_000,
  /** Furthest that the clock can be moved from the true time, in seconds: a hundred years. */
  clockSecondsMax: 3_155_760_000,
  /** Longest time until PostgreSQL accepts connections, in milliseconds. */
  postgresStartMsMax: 60_000,
  /** Longest time until PostgreSQL has ended, in milliseconds; then its processes are killed. */
  postgresStopMsMax: 5_000,
  /** How often the process of `--parent` is looked for, in milliseconds. */
  parentLookMs: 250,
  /** Age after which a folder without an owner is taken for left over, in milliseconds. */
  ownerlessMsMax: 60_000,
};
export type TestingLimits = typeof testingLimits;
