/** The limits of a server's processes: how long each step of a start, a stop and a reload may take. */
export const processLimits = {
  /**
   * Longest time that an ordered stop keeps idle connections open for one more request, whose answer closes them, in
   * ms.
   */
  drainMs: 2_000,
  /**
   * The same for an old process after a reload, in ms. Longer than `keepAliveMs`, so that no client finds its
   * connection closed.
   */
  handOverMs: 130_000,
  /** Longest time that an ordered stop then waits for requests in flight, in ms. */
  shutdownMsMax: 10_000,
  /** Longest time for that when the process that holds the sockets was killed, in ms. */
  orphanMsMax: 1_000,
  /**
   * Connections that wait in the kernel to be accepted. The SDK's `run` opens one per chunk, all at once. While no
   * process serves, they wait there too.
   */
  listenBacklog: 4_096,
  /**
   * Connections of a socket that are accepted in one turn of the event loop. Node by itself accepts one, so a new
   * connection would wait one turn for each connection before it, and a turn during a flood takes 40 ms.
   */
  connectionsPerTurn: 16,
  /** Longest wait for the port, in ms. A server that has just been killed may still hold it. */
  portWaitMsMax: 2_000,
  /** A process that served for at least this long before it ended is replaced at once, in ms. */
  steadyMs: 10_000,
  /** Pause before a process that ended sooner is replaced, in ms. */
  restartPauseMs: 1_000,
  /** Longest time in which the new processes of a reload must serve, in ms. Migrations are part of it. */
  reloadMsMax: 900_000,
  /** Pause between two attempts to reach a PostgreSQL that is away at the start, in ms. */
  databasePauseMs: 250,
  /**
   * Longest wait of a command for a PostgreSQL that does not answer, or that a server is starting, in ms. A server
   * waits for ever.
   */
  databaseWaitMsMax: 30_000,
  /** How often a start logs what it waits for, in ms. */
  waitLogMs: 10_000,
  /** How long a start waits for PostgreSQL before it says so on standard output, and a command in the log, in ms. */
  welcomeWaitMs: 3_000,
  /**
   * Bytes of log lines that wait in memory while nobody reads the log, as of a paused terminal or a hanging collector.
   * Further lines are dropped; when the log is read again, it says how many.
   */
  logBytesMax: 1_048_576,
  /** Time from the start of a server to its first archiving of old runs (RETENTION_EVERY), in ms. */
  retentionFirstMs: 60_000,
  /** Longest wait of one timer, in ms. A longer wait uses several timers, because those of Node end at 25 days. */
  retentionTimerMsMax: 86_400_000,
};

export type ProcessLimits = Readonly<typeof processLimits>;
