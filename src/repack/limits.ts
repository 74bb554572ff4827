/** What bounds the statements of the command `repack`. */
export const repackLimits = {
  /** Rows whose keys one statement lists. */
  pageRowsMax: 1_000,
  /** Rows of one channel that one transaction rewrites; whoever writes the channel waits for so long. */
  transactionRowsMax: 100,
  /** Bytes of series as they were sent that one transaction rewrites; a row that is larger goes alone. */
  transactionBytesMax: 262_144,
  /** Longest wait for a channel or a row that somebody else holds. Then others go first. */
  lockMsMax: 100,
  /** How often channels that were held are tried once more, when all others are done. */
  heldTriesMax: 10,
  /** Wait before those are tried again. */
  heldPauseMs: 500,
};

export type RepackLimits = Readonly<typeof repackLimits>;
