/** What bounds the commands of retention. */
export const retentionLimits = {
  /** Bytes of the file of rules. */
  rulesBytesMax: 1_048_576,
  /** Rules of the file. */
  rulesMax: 1_000,
  /** The shortest time without changes that a rule may set, in seconds: a day. */
  olderThanSecondsMin: 86_400,
  /** Runs that one call finds, archives and removes. The next call continues. */
  runsMax: 100_000,
  /** Runs that one statement looks up. */
  pageRunsMax: 500,
  /** Channels of a run that can be archived. A run with more channels stays in the database. */
  channelsMax: 1_000_000,
  /** Chunks whose facts one statement fetches, without their arrays. */
  pageFactsMax: 10_000,
  /** Replaced contents, with their arrays, that one statement fetches. */
  pageRevisionsMax: 100,
  /**
   * Chunks and points that one transaction of a restore stores. The run stays invisible to readers until the restore is
   * complete.
   */
  restoredRowsMax: 200,
  restoredPointsMax: 200_000,
  /**
   * How long a call waits for another process that archives or restores. A process that was killed may still have its last
   * statement running.
   */
  lockMsMax: 5_000,
  /** Pause between two attempts to get that lock. */
  lockPauseMs: 100,
  /** Bytes of a certificate or of `run.json`, which are read into memory. */
  documentBytesMax: 268_435_456,
};

export type RetentionLimits = Readonly<typeof retentionLimits>;
