/** What bounds the life of the processes of a server: how long each step of a start, a stop and a reload may take. */
export const processLimits = {
  /** Longest time that an ordered stop leaves kept connections open for one more request, whose answer closes them. */
  drainMs: 2_000,
  /** The same after a reload, when others serve: longer than `keepAliveMs`, so that no client meets a closed connection. */
  handOverMs: 130_000,
  /** Longest time that an ordered stop then waits for requests in flight. */
  shutdownMsMax: 10_000,
  /** Longest time for that when the process that holds the sockets has been killed. */
  orphanMsMax: 1_000,
  /** Sockets that wait for accept: `run` opens one per chunk, all at once. While nobody serves, they wait here too. */
  listenBacklog: 4_096,
  /**
   * Connections of a socket that are accepted in one turn of the event loop. Node accepts one, so that a new connection
   * would wait for as many turns as others stand before it, and a turn of a flood takes 40 ms.
   */
  connectionsPerTurn: 16,
  /** Longest wait for the port, which a server that has just been killed may still hold. */
  portWaitMsMax: 2_000,
  /** A process that served for this long before it ended is replaced at once. */
  steadyMs: 10_000,
  /** Pause before one that ended sooner is replaced. */
  restartPauseMs: 1_000,
  /** Longest time that new processes have to begin to serve at a reload; migrations are part of it. */
  reloadMsMax: 900_000,
  /** Pause between two looks for a PostgreSQL that is away at the start. */
  databasePauseMs: 250,
  /** Longest wait of a command for a PostgreSQL that does not answer, or that a server is starting; a server waits for ever. */
  databaseWaitMsMax: 30_000,
  /** How often a start says in the log what it waits for. */
  waitLogMs: 10_000,
  /** How long a start waits for PostgreSQL until it says on standard output what it waits for; a command says so in the log. */
  welcomeWaitMs: 3_000,
  /** From the start of a server until it first archives what is old, by RETENTION_EVERY. */
  retentionFirstMs: 60_000,
  /** The longest wait of one timer; a longer one is made of several. */
  retentionTimerMsMax: 86_400_000,
};

export type ProcessLimits = Readonly<typeof processLimits>;
