/** Bounds of backups. Each is handed in by whoever makes or reads one, so that a test can make it small. */
export const backupLimits = {
  /** Bytes of a table that are compressed together, and stand in the file as one entry. Some of them are held at a time. */
  pieceBytes: 4 * 1024 * 1024,
  /** Such pieces that are compressed at the same time. */
  piecesMax: 2,
  /** How hard they are compressed, 1 to 9 of gzip: packed series keep 0.806 of their bytes with 1, and 0.804 with 6. */
  gzipLevel: 1,
  /** Largest entry of a file that is read: pieces of a later release may be larger, a file that nobody has made is not held. */
  entryBytesMax: 64 * 1024 * 1024,
  /** Longest wait of a backup for a table that a migration holds, and of a restore for one that somebody looks at. */
  lockMsMax: 60_000,
  /** Wait after a scheduled backup that failed, until the next try. */
  retryMs: 600_000,
  /** How often a server looks whether a backup is due. */
  lookMs: 60_000,
};

export type BackupLimits = Readonly<typeof backupLimits>;
