/** What the command `doctor` takes for too much or too little. */
export const doctorLimits = {
  /** Days until the disk is full, at the pace of the last `growthDays`: fewer are a warning, or a fault. */
  daysLeftWarn: 30,
  daysLeftFault: 3,
  /** Over so many days the growth of the database is taken. */
  growthDays: 7,
  /** Clocks of server and database differ by more: a warning. Late chunks and keys are judged by that of the database. */
  clockMsMax: 2_000,
  /** Tables with fewer rows need no statistics. */
  statisticsRowsMin: 10_000,
  /** A table of which more rows, as a part of all, have changed since its statistics were taken is to be analysed. */
  statisticsChangedMax: 0.5,
  /** More connections in use, as a part of those that there are, are a warning. */
  connectionsUsedMax: 0.8,
  /** A transaction that is open for longer keeps vacuum from all that was removed since. */
  transactionSecondsMax: 600,
  /** A backup is late when it is older than so many times BACKUP_EVERY_HOURS. */
  backupLateTimes: 1.5,
  /** Keys that end sooner are named. */
  keyDaysMin: 14,
  /** Longest wait for the server behind PUBLIC_URL. */
  proxyMsMax: 5_000,
  /** Names that one finding lists; of more it says how many. */
  namesMax: 10,
} as const;

export type DoctorLimits = { [Name in keyof typeof doctorLimits]: number };
