/** What bounds the commands of retention. */
export const retentionLimits = {
  /** Bytes of the file of rules. */
  rulesBytesMax: 1_048_576,
  /** Rules of the file. */
  rulesMax: 1_000,
  /** Seconds that a rule must leave a run alone at least: a day. */
  olderThanSecondsMin: 86_400,
  /** Runs that one call looks up, archives and removes; the next one goes on. */
  runsMax: 100_000,
  /** Runs that one statement looks up. */
  pageRunsMax: 500,
  /** Channels of a run that is archived; one that has more stays. */
  channelsMax: 1_000_000,
  /** Chunks whose facts, without their arrays, one statement fetches. */
  pageFactsMax: 10_000,
  /** Replaced contents, with their arrays, that one statement fetches. */
  pageRevisionsMax: 100,
  /** Rows and points that one transaction of a restore stores; whoever reads the run meanwhile finds nothing of it. */
  restoredRowsMax: 200,
  restoredPointsMax: 200_000,
  /** How long one waits for another process that archives or restores: one that was killed may still have its last statement run. */
  lockMsMax: 5_000,
  /** Pause between two looks for that. */
  lockPauseMs: 100,
  /** Bytes of a certificate or of the description of a run, which are read whole. */
  documentBytesMax: 268_435_456,
};

export type RetentionLimits = Readonly<typeof retentionLimits>;
