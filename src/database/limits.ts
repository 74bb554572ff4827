/** Bounds of the database room. Each is handed in by whoever opens a part of it, so that a test can make it small. */
export const databaseLimits = {
  /**
   * Connections of one server process for ingest. Each flush (`streams.flushesMax`) has one, and so may the reading after the
   * flush before; as many more as `streams.callsMax` open and finalize streams.
   */
  ingestConnectionsMax: 8,
  /** How long a connection of ingest is used, and with it the plans that it has made. */
  ingestConnectionSecondsMax: 300,
  /** Connections of one server process for upkeep: the use of keys, old revisions. */
  serviceConnectionsMax: 2,
  /** Connections of one server process that look keys up, and do nothing else. */
  keyConnectionsMax: 2,
  /** Connections of one server process that see whether it may go on (`readiness.ts`). */
  readinessConnectionsMax: 1,
  /** How often a server that listens looks, and how long what it has found is used again. */
  readinessEveryMs: 1_000,
  readinessKeepMs: 900,
  /** How long a server uses again that the data folder of its own PostgreSQL is there. */
  dataFolderKeepMs: 10,
  /** Longest time that a statement of this look, and the wait for its connection, may take. */
  readinessMsMax: 5_000,
  /**
   * Below so much room on the disk of the database nothing is stored, so that PostgreSQL has some to go on with: it ends when it
   * cannot write its log. Twice what the embedded one has in reserve (`diskReserveBytes`), which it may have to use up.
   */
  diskFullBytes: 128 * 1024 * 1024,
  /** How long a server uses again what it has seen of the room on that disk. */
  diskKeepMs: 250,
  /** How long a disk that is not known counts as full after PostgreSQL has said so; with chunks that wait it says so again. */
  diskFullSaidMs: 5_000,
  /** Longest wait for a database connection. The SDK gives a request 30 s, so a 503 can still reach it. */
  connectionWaitMsMax: 25_000,
  /** Longest run of one statement of a request, after which it is cancelled and answered 503. */
  statementMsMax: 25_000,
  /** How much longer than statementMsMax its answer may take, before the connection is given up. */
  answerMsMax: 2_000,
  /** Longest time that the end of a server waits for statements under way. */
  closeMsMax: 10_000,
  /**
   * Longest run of one statement of a read or of the catalogue, after which it is cancelled and answered 503. A search and
   * a list come in pages, each a statement of its own.
   */
  readStatementMsMax: 10_000,
  /** How long a statement of a read whose client has gone may go on; then PostgreSQL is asked to cancel it. */
  abandonedMsMax: 100,
  /** Requests of one organization that wait for a connection at the same time; over it 503. */
  waitingPerOrganizationMax: 1_000,
  /** Longest time in which a new connection takes its role and its settings; a pooler that is full lets it wait. */
  sessionMsMax: 5_000,
  /** Pause until PostgreSQL is asked again for a connection, when it has none left and the pool has none either. */
  fullPauseMs: 100,
  /** How long a pool makes do with the connections that it has, when PostgreSQL has given it no more. */
  fullKeepMs: 5_000,
  /** Longest wait for one of several places of an address, where the address has no `connect_timeout`. */
  placeMsMax: 5_000,
  /** Longest wait for one of several answers by which a pooler in transaction mode is found out. */
  poolerLookMsMax: 1_000,
  /** Longest time in which a connection of ingest is made or comes free. */
  ingestConnectMsMax: 4_000,
  /** Longest time in which a database that was away answers the question whether it is back. */
  outageLookMsMax: 2_000,
  /** Pause between these questions; twice as long each time, up to the longest. */
  outageRetryMs: 50,
  outageRetryMsMax: 500,
  /** Longest time that a call which changes the catalogue waits, from its arrival, for a database that is away. */
  callMsMax: 27_000,
  /** How long such a call may go unanswered until the database is asked whether it is there. */
  lateAnswerMs: 3_000,
  /** Longest wait of a migration for a lock in one try: chunks that need the same table wait behind it for as long. */
  migrationLockMsMax: 500,
  /** Pause before the next try, in which everybody else goes on. */
  migrationPauseMs: 2_000,
  /** How often it is said again whom a migration waits for. */
  migrationTellMs: 10_000,
} as const;

export type DatabaseLimits = { [Name in keyof typeof databaseLimits]: number };
