/** Bounds of the test mode. Each appears in the error or answer that it causes. */
export const testingLimits = {
  /** Requests that the journal keeps; the oldest are dropped first. */
  journalRequestsMax: 10_000,
  /** Bytes of request bodies that the journal keeps. */
  journalBytesMax: 64 * 1024 * 1024,
  /** Longest wait for requests that have not arrived yet, in seconds. */
  waitSecondsMax: 300,
  /** Rules of faults at one time. */
  faultRulesMax: 1_000,
  /** Longest delay that a rule of faults may ask for, in milliseconds. */
  faultDelayMsMax: 3_600_000,
  /** Largest offset of the clock from the true time, in seconds: a hundred years. */
  clockSecondsMax: 3_155_760_000,
  /** Longest time until PostgreSQL accepts connections, in milliseconds. */
  postgresStartMsMax: 60_000,
  /** Longest time for PostgreSQL to end, in milliseconds. After that its processes are killed. */
  postgresStopMsMax: 5_000,
  /** How often it is checked that the process of `--parent` is alive, in milliseconds. */
  parentLookMs: 250,
  /** Age in milliseconds from which a folder without an owner counts as left over. */
  ownerlessMsMax: 60_000,
};
export type TestingLimits = typeof testingLimits;
