/** What bounds ingest, and the removal of what it has stored. */
export const streamLimits = {
  /** Channels of one multi-channel chunk. */
  channelsPerRequestMax: 10_000,
  /** Bodies of chunks up to this size are parsed on the event loop, in 10 ms at most; larger ones in a thread. */
  loopBodyBytesMax: 524_288,
  /** Those with more strings and names are parsed in the thread too: 50,000 names that nobody knows would take 100 ms. */
  loopBodyStringsMax: 10_000,
  /** How long the thread stays when it has nothing to do, and with it the memory that it has taken. */
  threadIdleMs: 30_000,
  /**
   * Chunks that one flush of ingest writes in one transaction. One of 512 costs PostgreSQL and this process together a
   * quarter less for each chunk than one of 64 (61 instead of 81 µs); it comes about when requests bring many channels.
   */
  flushRowsMax: 512,
  /** Bytes of arrays that one flush writes; a single request may be larger and then flushes alone. */
  flushBytesMax: 8_388_608,
  /** Chunks that one statement writes: a request of 10,000 channels takes four, and between them others have their turn. */
  statementRowsMax: 2_500,
  /** Flushes of one server process at the same time, when all but one take longer than slowFlushMs. */
  flushesMax: 3,
  /** How long a flush may take until another one, of other streams, begins beside it. */
  slowFlushMs: 250,
  /** Chunks that wait for a flush; over it 503. */
  queueRowsMax: 100_000,
  /** Bytes of arrays that wait for a flush; over it 503. */
  queueBytesMax: 536_870_912,
  /** An organization may have so many times as much waiting as is still free, so that none fills the queue against others. */
  queueShareMax: 4,
  /** Longest time from the arrival of a request until the last flush that may take it begins; over it 503. */
  waitMsMax: 27_000,
  /** Longest time from the arrival of a request until it is answered, its wait and its flush together: the SDK gives it 30 s. */
  ingestMsMax: 27_700,
  /** How long a statement of ingest may go unanswered until PostgreSQL is asked whether it is still at work. */
  lateAnswerMs: 3_000,
  /** Longest time for the answer to this question; then the connection is given up. Both together are below 5 s. */
  lookMsMax: 1_800,
  /** Longest wait of a flush for a lock that somebody else holds; then it goes on without whoever needs that lock. */
  lockMsMax: 150,
  /** The same while a flush looks for whom it has to leave out. */
  searchLockMsMax: 40,
  /** How many times a flush may wait in vain in that search; what it has not settled then is tried again later. */
  searchTriesMax: 12,
  /** Flushes that PostgreSQL breaks off for the sake of another transaction, one after another, are tried so often. */
  conflictTriesMax: 5,
  /** How long a request waits until it asks again for a lock that was held; twice as long each time, up to the second. */
  heldRetryMs: 200,
  heldRetryMsMax: 1_000,
  /** Pause until the next flush after one that found the database away; twice as long each time, up to the second. */
  awayRetryMs: 50,
  awayRetryMsMax: 1_000,
  /** Calls that open or finalize streams and are with PostgreSQL at the same time; more wait. */
  callsMax: 2,
  /** Such calls of one server process that wait; an organization may have as many as it leaves free. Over it 503. */
  waitingCallsMax: 4_000,
  /** How long `/metrics` shows again what the database has told of its size and of live streams. */
  storedLookKeepMs: 15_000,
  /** Longest time that `/metrics` waits for that; then it shows what was told before. */
  storedLookMsMax: 1_000,
  /**
   * Channels of which a server process remembers where they are and up to which index it has written them, at least the
   * half that it wrote last: 270 bytes each.
   */
  knownChannelsMax: 200_000,
  /** How long after their commit new rows are read once, which marks them as committed. */
  touchDelayMs: 50,
  /** How often revisions are looked through for those that have been kept long enough. */
  revisionSweepMs: 3_600_000,
  /** Revisions that one statement removes. */
  revisionSweepRowsMax: 1_000,
  /** Rows and points that one statement of a removal deletes: half a second of work at most. */
  removedRowsMax: 5_000,
  removedPointsMax: 1_000_000,
};

export type StreamLimits = Readonly<typeof streamLimits>;
