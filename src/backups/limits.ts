/** Bounds of backups. The code that makes or reads a backup passes them in, so that a test can make them small. */
export const backupLimits = {
  /**
   * Bytes of a table that are compressed together and become one entry of the file. A few such pieces are in memory at
   * a time.
   */
  pieceBytes: 4 * 1024 * 1024,
  /** Pieces that are compressed at the same time. */
  piecesMax: 2,
  /** gzip level, 1 to 9: packed series keep 0.806 of their bytes with 1, and 0.804 with 6. */
  gzipLevel: 1,
  /**
   * Largest entry of a file that is read. Pieces of a later release may be larger; a forged file must not fill the
   * memory.
   */
  entryBytesMax: 64 * 1024 * 1024,
  /** Longest wait of a backup for a table that a migration has locked, and of a restore for one that somebody reads. */
  lockMsMax: 60_000,
  /** Pause after a failed scheduled backup, before the next try. */
  retryMs: 600_000,
  /** How often a server checks whether a backup is due. */
  lookMs: 60_000,
};

export type BackupLimits = Readonly<typeof backupLimits>;
