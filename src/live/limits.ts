/** What bounds those who follow runs: how many there are, how often they are told, and what may wait for one of them. */
export const liveLimits = {
  /** How often PostgreSQL is asked whether the runs that are followed have changed. Nobody is asked while nobody follows. */
  lookMs: 500,
  /** Shortest time between two events of a run. What changes meanwhile is told in one. */
  eventMsMin: 200,
  /** The same, for each who follows the run: 500 of them are told once a second, so that telling them takes no more than that. */
  eventMsPerSubscriber: 2,
  /** How often the list of runs is looked at, while somebody follows it. */
  listLookMs: 1_000,
  /** The newest runs of an organization that each look at the list goes through. */
  listedRunsMax: 500,
  /** How often that look also goes through older runs that are not finalized, which another server may store chunks of. */
  listSweepMs: 10_000,
  /** How often something is sent to whoever follows, so that nothing between takes the connection for dead. */
  heartbeatMs: 15_000,
  /** How often the key of each who follows is looked at: one that was revoked or has ended gets no more than that. */
  keyLookMs: 5_000,
  /** Clients of one server process that follow at the same time. An organization has as many as are still free; over it 503. */
  subscribersMax: 2_000,
  /** Runs that one client may follow on one connection; over it 422. */
  runsPerSubscriberMax: 50,
  /**
   * Channels of all runs that are followed in one server process, about 400 bytes each. An organization has as many as are
   * still free; over it 503.
   */
  followedChannelsMax: 200_000,
  /** Bytes that may wait for a client that does not read. The next event finds it so and closes its connection. */
  subscriberBytesMax: 262_144,
  /** Chunks of a channel, below those that are new by number, in which a late chunk is looked for. */
  nearChunksMax: 64,
  /**
   * The longest time from the statement that writes a chunk to its commit that whoever comes back with a cursor relies on.
   * Ingest gives up long before.
   */
  commitMsMax: 600_000,
  /** After what time clients come back when this server ends: others, or the next one, serve by then. */
  retryMs: 2_000,
  /** Longest time that a client may ask a connection to last, in seconds. */
  secondsMax: 86_400,
};

export type LiveLimits = Readonly<typeof liveLimits>;
