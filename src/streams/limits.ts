/** What bounds ingest, and the removal of what it has stored. */
export const streamLimits = {
  /** Channels of one multi-channel chunk. */
  channelsPerRequestMax: 10_000,
  /** Bodies of chunks up to this size are parsed on the event loop, in 10 ms at most; larger ones in a thread. */
  loopBodyBytesMax: 524_288,
  /** Bodies with more strings and names are parsed in the thread too: 50,000 unknown names would take 100 ms. */
  loopBodyStringsMax: 10_000,
  /** How long an idle thread is kept, and with it the memory that it has taken. */
  threadIdleMs: 30_000,
  /**
   * Chunks that one flush of ingest writes in one transaction. A flush of 512 takes PostgreSQL and this process
   * together a quarter less time for each chunk than one of 64 (61 instead of 81 µs). Flushes grow that large when
   * requests bring many channels.
   */
  flushRowsMax: 512,
  /** Bytes of arrays that one flush writes; a single request may be larger and then flushes alone. */
  flushBytesMax: 8_388_608,
  /**
   * Chunks that one statement writes: a request of 10,000 channels takes four statements, and others have their turn
   * between them.
   */
  statementRowsMax: 2_500,
  /**
   * Flushes that one server process runs at the same time. A further one begins only when all that run have taken
   * `slowFlushMs`.
   */
  flushesMax: 3,
  /** How long a flush may take until another one, of other channels, begins beside it. */
  slowFlushMs: 250,
  /**
   * Streams that one server process writes at the same time in a cluster, each in a transaction of its own. Three of the
   * connections of ingest are left for calls and for the touching of rows.
   */
  streamsAtATimeMax: 5,
  /** Chunks that wait for a flush; over it 503. */
  queueRowsMax: 100_000,
  /** Bytes of arrays that wait for a flush; over it 503. */
  queueBytesMax: 536_870_912,
  /** What an organization may have waiting, as a multiple of what is still free, so that none fills the queue alone. */
  queueShareMax: 4,
  /** Longest time from the arrival of a request until a flush takes it; over it 503. */
  waitMsMax: 27_000,
  /**
   * Longest time from the arrival of a request until it is answered, waiting and flush together: the SDK waits 30 s.
   */
  ingestMsMax: 27_700,
  /**
   * After this time without an answer to a statement of ingest, PostgreSQL is asked whether it still runs that
   * statement.
   */
  lateAnswerMs: 3_000,
  /** Longest time for the answer to this question; then the connection is given up. Both together are below 5 s. */
  lookMsMax: 1_800,
  /**
   * Longest wait of a flush for a lock that another session holds; then it goes on without the requests that need that
   * lock.
   */
  lockMsMax: 150,
  /** The same in a cluster, where a transaction takes several trips to a node. */
  clusterLockMsMax: 600,
  /** The same while a flush searches for the requests that it has to leave out. */
  searchLockMsMax: 40,
  /** How many lock timeouts a flush accepts in that search; requests without an outcome by then are retried later. */
  searchTriesMax: 12,
  /** How often a flush is retried at once after PostgreSQL aborted it in favour of another transaction. */
  conflictTriesMax: 5,
  /** Pause until a request that needs a held lock is retried; it doubles each time, up to heldRetryMsMax. */
  heldRetryMs: 200,
  heldRetryMsMax: 1_000,
  /** Pause after a flush that found the database away; it doubles each time, up to awayRetryMsMax. */
  awayRetryMs: 50,
  awayRetryMsMax: 1_000,
  /** Calls that open or finalize streams and run in PostgreSQL at the same time; further calls wait. */
  callsMax: 2,
  /** Such calls that wait in one server process; an organization may have as many as it leaves free. Over it 503. */
  waitingCallsMax: 4_000,
  /** How long `/metrics` reuses what the database has answered on its size and on live streams. */
  storedLookKeepMs: 15_000,
  /** Longest time that `/metrics` waits for that answer; then it shows the previous one. */
  storedLookMsMax: 1_000,
  /**
   * Channels in the cache of a server process: their ids and the highest index written. An entry takes 270 bytes. At
   * least the half that was used last is kept.
   */
  knownChannelsMax: 200_000,
  /** How long after their commit new rows are read once, which marks them as committed. */
  touchDelayMs: 50,
  /** How often the server looks for revisions that have been kept long enough, and removes them. */
  revisionSweepMs: 3_600_000,
  /** Revisions that one statement removes. */
  revisionSweepRowsMax: 1_000,
  /** Rows and points that one statement of a removal deletes: half a second of work at most. */
  removedRowsMax: 5_000,
  removedPointsMax: 1_000_000,
};

export type StreamLimits = Readonly<typeof streamLimits>;
