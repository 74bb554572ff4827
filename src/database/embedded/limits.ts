/** Bounds of the embedded PostgreSQL. Handed in by whoever starts it, so that a test can make them small. */
export const embeddedLimits = {
  /** What a file beside the data holds in reserve, for a PostgreSQL whose disk is full; 0 holds none. */
  diskReserveBytes: 64 * 1024 * 1024,
  /** The reserve is made only where so much more is left then: no less than `diskFullBytes`, or writes would stop for it. */
  diskReserveAtBytes: 192 * 1024 * 1024,
  /** With less than this, one file of its log, PostgreSQL is about to end: the reserve is given up. */
  diskLeastBytes: 16 * 1024 * 1024,
  /** How often the room is looked at; and how soon a PostgreSQL that found none is started again when there is some. */
  diskEveryMs: 500,
  /** Longest that postgres.log gets until it is put aside as postgres.log.1, whose turn ends then. */
  logBytesMax: 16 * 1024 * 1024,
  /** Bounds of max_wal_size, which is a sixteenth of the disk between them: a small disk is not for the log alone. */
  walBytesMax: 4 * 1024 ** 3,
  walBytesMin: 64 * 1024 ** 2,
} as const;

export type EmbeddedLimits = { [Name in keyof typeof embeddedLimits]: number };
