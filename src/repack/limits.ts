/** What bounds the statements of the command `repack`. */
export const repackLimits = {
  /** Rows whose keys one statement lists. */
  pageRowsMax: 1_000,
  /** Rows of one channel that one transaction rewrites; writers of the channel wait for it. */
  transactionRowsMax: 100,
  /** Bytes of unpacked series that one transaction rewrites; a larger row has a transaction of its own. */
  transactionBytesMax: 262_144,
  /** Longest wait for a channel or a row that another session has locked; then other channels go first. */
  lockMsMax: 100,
  /** How often channels that were locked are retried after all others are done. */
  heldTriesMax: 10,
  /** Pause before those are retried. */
  heldPauseMs: 500,
};

export type RepackLimits = Readonly<typeof repackLimits>;
