/** The thresholds of the command `doctor`. */
export const doctorLimits = {
  /** Days until the disk is full, at the pace of the last `growthDays`. Fewer days are a warning, or a fault. */
  daysLeftWarn: 30,
  daysLeftFault: 3,
  /** Days over which the growth of the database is measured. */
  growthDays: 7,
  /**
   * A larger difference between the clocks of server and database is a warning. Late chunks and keys are judged by the
   * database's.
   */
  clockMsMax: 2_000,
  /** Tables with fewer rows need no statistics. */
  statisticsRowsMin: 10_000,
  /**
   * Largest part of the rows of a table that may have changed since its statistics were taken; above it, analyze is
   * advised.
   */
  statisticsChangedMax: 0.5,
  /** Largest part of all connections that may be in use without a warning. */
  connectionsUsedMax: 0.8,
  /** A transaction open for longer is a warning: vacuum cannot free what was removed since it began. */
  transactionSecondsMax: 600,
  /** A backup is late when it is older than this multiple of BACKUP_EVERY_HOURS. */
  backupLateTimes: 1.5,
  /** Keys that end within this many days are listed. */
  keyDaysMin: 14,
  /** Longest wait for the server behind PUBLIC_URL. */
  proxyMsMax: 5_000,
  /** Names that one finding lists; for the rest it says how many. */
  namesMax: 10,
} as const;

export type DoctorLimits = { [Name in keyof typeof doctorLimits]: number };
