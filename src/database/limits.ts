/**
 * Bounds of the database room. Each is passed in by the code that opens a part of it, so that a test can make it small.
 */
export const databaseLimits = {
  /**
   * Connections of one server process for ingest. Each flush (`streams.flushesMax`) has one, and the touching of rows
   * after a flush may have one more; `streams.callsMax` more open and finalize streams.
   */
  ingestConnectionsMax: 8,
  /** How long a connection of ingest is kept, and with it its query plans. */
  ingestConnectionSecondsMax: 300,
  /** Connections of one server process for upkeep: recording the use of keys, removing old revisions. */
  upkeepConnectionsMax: 2,
  /** Connections of one server process that look keys up, and do nothing else. */
  keyConnectionsMax: 2,
  /** Connections of one server process that see whether it may go on (`readiness.ts`). */
  readinessConnectionsMax: 1,
  /** How often a listening server makes that check, and how long the result is reused. */
  readinessEveryMs: 1_000,
  readinessKeepMs: 900,
  /** How long a server reuses the result that the data folder of its own PostgreSQL is there. */
  dataFolderKeepMs: 10,
  /** Longest time for a statement of that check, and for the wait for its connection. */
  readinessMsMax: 5_000,
  /**
   * With less space than this on the disk of the database, nothing is stored. PostgreSQL needs the rest: it ends when
   * it cannot write its log. It is twice the reserve of the embedded one (`diskReserveBytes`), which that may have to
   * use up.
   */
  diskFullBytes: 128 * 1024 * 1024,
  /** How long a server reuses the last reading of the space on that disk. */
  diskKeepMs: 250,
  /**
   * How long a disk that is not known counts as full after PostgreSQL has said so. If chunks wait, PostgreSQL then says
   * so again.
   */
  diskFullSaidMs: 5_000,
  /** Longest wait for a database connection. The SDK gives a request 30 s, so a 503 can still reach it. */
  connectionWaitMsMax: 25_000,
  /** Longest run of one statement of a request, after which it is cancelled and answered 503. */
  statementMsMax: 25_000,
  /** How much longer than statementMsMax its answer may take, before the connection is given up. */
  answerMsMax: 2_000,
  /** Longest time that a server which stops waits for running statements. */
  closeMsMax: 10_000,
  /**
   * Longest run of one statement of a read or of the catalogue; then it is cancelled and answered 503. A search and a
   * list come in pages, each a statement of its own.
   */
  readStatementMsMax: 10_000,
  /** How long a statement of a read runs on after its client has gone; then PostgreSQL is asked to cancel it. */
  abandonedMsMax: 100,
  /** Requests of one organization that wait for a connection at the same time; over it 503. */
  waitingPerOrganizationMax: 1_000,
  /** Longest time in which a new connection sets its role and its settings; a pooler that is full lets it wait. */
  sessionMsMax: 5_000,
  /** Pause before PostgreSQL is asked again for a connection, while it has none left and the pool has none either. */
  fullPauseMs: 100,
  /** How long a pool opens no further connections after PostgreSQL has refused one. */
  fullKeepMs: 5_000,
  /** How long reads wait while PostgreSQL has no connection left and the server has none for reads; then 503. */
  readStarvedMsMax: 1_000,
  /** Longest wait for one host of an address that names several, where the address has no `connect_timeout`. */
  placeMsMax: 5_000,
  /** Longest wait for one answer of the check that detects a pooler in transaction mode. */
  poolerLookMsMax: 1_000,
  /** Longest time in which a connection of ingest is made or comes free. */
  ingestConnectMsMax: 4_000,
  /** Longest time for the answer to the probe whether a database that was away is back. */
  outageLookMsMax: 2_000,
  /** Pause between these probes; it doubles each time, up to outageRetryMsMax. */
  outageRetryMs: 50,
  outageRetryMsMax: 500,
  /** Pause before a call is attempted again that needs a node of a cluster which is away. */
  nodeRetryMs: 300,
  /** Longest time that a call which changes the catalogue waits, from its arrival, for a database that is away. */
  callMsMax: 27_000,
  /** After this time without an answer to such a call, the database is asked whether it is there. */
  lateAnswerMs: 3_000,
  /** Connections of one server process that ask the primary how far its log is, for reads from a replica. */
  positionConnectionsMax: 1,
  /** Longest time for that question. Then the read goes to the primary itself. */
  positionMsMax: 2_000,
  /** Longest wait of a read until the replica has replayed what was acknowledged before; then it goes to the primary. */
  replicaWaitMsMax: 100,
  /** Longest time in which a connection to the replica is made or comes free. */
  replicaConnectMsMax: 1_000,
  /** Longest time in which the replica says how far it is. */
  replicaLookMsMax: 1_000,
  /** Longest wait of a statement there for a lock of the replay; then it runs on the primary. */
  replicaLockMsMax: 1_000,
  /** How often a server looks at a replica that it reads from, with or without reads. */
  replicaLookEveryMs: 1_000,
  /** How long a replica that lags is left alone before the next look; one that is gone or wrong, longer. */
  replicaLagMs: 250,
  replicaRetryMs: 1_000,
  /** The log tells of one departure from the replica in this time. */
  replicaTellMs: 10_000,
  /** Longest wait of a migration for a lock in one try. Chunks that need the same table wait behind it as long. */
  migrationLockMsMax: 500,
  /** Pause before the next try, in which all others go on. */
  migrationPauseMs: 2_000,
  /** How often the log repeats for whom a migration waits. */
  migrationTellMs: 10_000,
} as const;

export type DatabaseLimits = { [Name in keyof typeof databaseLimits]: number };
