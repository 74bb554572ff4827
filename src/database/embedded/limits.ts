/** Bounds of the embedded PostgreSQL. Its caller passes them in, so that a test can make them small. */
export const embeddedLimits = {
  /**
   * Size of the reserve, a file beside the data. It is deleted when the disk is full, so that PostgreSQL has space. 0
   * makes none.
   */
  diskReserveBytes: 64 * 1024 * 1024,
  /**
   * The reserve is made only if this much space is left after it: not less than `diskFullBytes`, or writes would stop
   * because of it.
   */
  diskReserveAtBytes: 192 * 1024 * 1024,
  /** With less space than this, one file of its log, PostgreSQL is about to end: the reserve is deleted. */
  diskLeastBytes: 16 * 1024 * 1024,
  /** How often the space is checked, and how soon a PostgreSQL that found none is restarted when there is some. */
  diskEveryMs: 500,
  /** Size at which postgres.log is copied to postgres.log.1, in place of an earlier copy, and emptied. */
  logBytesMax: 16 * 1024 * 1024,
  /** Bounds of max_wal_size. Between them it is a sixteenth of the disk, so that the log does not fill a small disk. */
  walBytesMax: 4 * 1024 ** 3,
  walBytesMin: 64 * 1024 ** 2,
} as const;

export type EmbeddedLimits = { [Name in keyof typeof embeddedLimits]: number };
