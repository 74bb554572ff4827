/**
 * The bounds of following runs: how many clients there may be, how often events are sent, and how much may wait for a
 * client.
 */
export const liveLimits = {
  /** How often PostgreSQL is asked whether followed runs have changed. Without followers it is not asked. */
  lookMs: 500,
  /** Shortest time between two events of a run. All changes in between go out in one event. */
  eventMsMin: 200,
  /**
   * The shortest time is at least this for each follower of the run: with 500 followers a second, so that sending an event
   * to all of them takes no longer than that.
   */
  eventMsPerSubscriber: 2,
  /** How often the list of runs is looked at while clients follow it. */
  listLookMs: 1_000,
  /** The newest runs of an organization that each look at the list covers. */
  listedRunsMax: 500,
  /** How often the look also covers older runs that are not finalized, in case another server stores chunks of them. */
  listSweepMs: 10_000,
  /** How often a heartbeat is sent to each client, so that no proxy between takes the connection for dead. */
  heartbeatMs: 15_000,
  /** How often the keys of followers are checked. A revoked or expired key gets events for at most this long. */
  keyLookMs: 5_000,
  /**
   * Clients that follow at the same time in one server process. An organization may have at most as many as are still free;
   * over it 503.
   */
  subscribersMax: 2_000,
  /** Runs that one client may follow on one connection; over it 422. */
  runsPerSubscriberMax: 50,
  /**
   * Channels of all runs that are followed in one server process, about 400 bytes each. An organization may have at most as
   * many as are still free; over it 503.
   */
  followedChannelsMax: 200_000,
  /** Bytes that may wait for a client that does not read. When more wait, the next event closes its connection. */
  subscriberBytesMax: 262_144,
  /** Chunk indexes below the newest chunks of a channel in which late chunks are searched. */
  nearChunksMax: 64,
  /**
   * The longest time between the statement that writes a chunk and its commit. A client that comes back with a cursor
   * relies on it. Ingest gives up long before.
   */
  commitMsMax: 600_000,
  /**
   * How long clients wait before they connect again when this server ends. Other servers, or its successor, serve by then.
   */
  retryMs: 2_000,
  /** Longest duration that a client may ask for a connection, in seconds. */
  secondsMax: 86_400,
};

export type LiveLimits = Readonly<typeof liveLimits>;
