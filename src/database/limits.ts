/** Bounds of the database room. Each is handed in by whoever opens a part of it, so that a test can make it small. */
export const databaseLimits = {
  /** Connections of one server process that look keys up, and do nothing else. */
  keyConnectionsMax: 2,
  /** Connections of one server process that see whether it may go on (`standing.ts`). */
  standingConnectionsMax: 1,
  /** Longest time that this look may take, after which the database counts as away. */
  standingMsMax: 5_000,
  /**
   * Longest run of one statement of a read or of the catalogue, after which it is cancelled and answered 503. A search and
   * a list come in pages, each a statement of its own.
   */
  readStatementMsMax: 10_000,
  /** Requests of one organization that wait for a connection at the same time; over it 503. */
  waitingPerOrganizationMax: 1_000,
} as const;

export type DatabaseLimits = { [Name in keyof typeof databaseLimits]: number };
