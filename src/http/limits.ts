/** The limits of HTTP: connections, requests on them, headers, bodies, reads, and the log of refusals. */
export const httpLimits = {
  /** Bytes of the request line and headers. The SDK searches for 1,000 ids in one URL (46 KB). */
  headerBytesMax: 262_144,
  /** Header fields of one request; a request with more is answered 431 and has no effect. */
  headersMax: 1_000,
  /**
   * Bytes of heads that all connections without a known key may hold together: of incomplete heads, and of requests that are served or
   * wait. Beyond it the connection is closed that has taken most room for longest, with 408 if none of its requests is being served.
   */
  strangerHeadsBytesMax: 16_777_216,
  /**
   * The same for all connections with a known key: 1,400 searches of 46 kB that wait at the same time. Beyond it connections of the
   * organization that holds most are closed.
   */
  keyedHeadsBytesMax: 67_108_864,
  /** Bytes of heads up to which a connection is not counted there, so that a small head is never refused for lack of room. */
  headBytesFree: 2_048,
  /** Longest wait for the request line and the headers of a request, from its first byte, in ms; then 408. */
  headersMsMax: 60_000,
  /**
   * How long an idle connection stays open, in ms. The SDK keeps its connection for 90 s, and would lose a chunk on one
   * that the server closed.
   */
  keepAliveMs: 120_000,
  /** How long a connection is still read after an invalid request, so that its sender reads the answer, in ms. */
  clientErrorDrainMsMax: 2_000,
  /** Requests of one connection that are served at the same time. While more have arrived, the connection is not read. */
  requestsPerConnectionMax: 4,
  /**
   * Milliseconds of one turn of the event loop in which requests sent ahead, and reads with large heads or trailers, may come. After
   * that no connection is read for the rest of the turn. One read brings up to 64 KiB, parsed as a whole, and without this limit 50
   * connections would be read in one turn.
   */
  aheadMsPerTurn: 8,
  /**
   * Requests that one connection may have sent ahead of those that are served; with more it is closed. It is more than
   * one read brings.
   */
  requestsAheadMax: 3_000,
  /**
   * Requests that all connections with a known key together may have sent ahead. An organization may have at most as
   * many as it leaves free. Beyond that its connections are not read, until it is back at half of that share, or for
   * `keyedOverMsMax` at most.
   */
  keyedAheadMax: 8_000,
  /**
   * After so many ms the connections of an organization beyond its share are read again, even if its clients take no
   * answers. One that then sends more than `strangerAheadMin` ahead is closed.
   */
  keyedOverMsMax: 5_000,
  /**
   * Requests that all connections without a known key together may have sent ahead; a connection beyond its share is
   * closed.
   */
  strangersAheadMax: 2_000,
  /** Smallest share of one such connection; otherwise all have the same share. */
  strangerAheadMin: 16,
  /**
   * Connections without a known key that are read at the same time; data on the others waits in the kernel. In one turn
   * of the event loop Node parses everything that has arrived on each of them: up to 1.5 ms for 64 KiB of header lines.
   * Half of them are the newest: as many as are accepted in two turns (process.connectionsPerTurn), so that each is
   * read before the next arrive.
   */
  strangersReadMax: 64,
  /**
   * How often half of those connections are exchanged for others that wait, in ms, unless one has just sent a request.
   */
  strangerLookMs: 50,
  /** Silent connections that are read in each exchange without haste. Reading one costs up to 70 µs. */
  strangerSilentLooksMax: 8,
  /**
   * Time in which every silent connection is read once, in ms. With more than 640 of them exchanges come faster than
   * `strangerLookMs`.
   */
  strangerRoundMs: 4_000,
  /**
   * How long a new connection without a known key is read more often, in ms: its request comes one round trip after it.
   */
  strangerNewMs: 1_000,
  /** How long a connection that has sent a request is read more often, in ms: a browser sends more. */
  strangerLivelyMs: 60_000,
  /** Connections without a known key that are read without a pause after one of them has sent a request. */
  strangerHasteMax: 16,
  /**
   * Requests with known keys that are begun in one turn of the event loop, of each organization in turn; the rest wait
   * for the next turn. Fewer than the connections that are accepted in one turn, so that none waits behind the requests
   * of many others.
   */
  requestsPerTurnMax: 8,
  /** Requests without a known key that are begun in one turn of the event loop; the rest wait for the next. */
  strangersPerTurnMax: 8,
  /**
   * Connections of one server process. Unset (0), it is the limit of open files less descriptorsKept. One connection
   * more closes the oldest one that has not sent a known key yet.
   */
  connectionsMax: 0,
  /** Connections beyond that which may wait to be read for the first time; they use some of descriptorsKept. */
  connectionsUnreadOverMax: 128,
  /** File descriptors that are kept free of connections: for the database, logs, and the start of a new version. */
  descriptorsKept: 256,
  /** A connection on which no byte moves in either direction for so many ms is closed. */
  connectionSilentMsMax: 300_000,
  /**
   * Characters of a path without its query; over it 414. The longest path with an id has a hundred, and it takes 10 ms
   * to find no route for 250,000.
   */
  pathLengthMax: 4_096,
  /** Different parameters of a query, known or not; over it 400. No route has thirty. */
  queryNamesMax: 200,
  /** Values of all parameters of a query; over it 400: a search may name 5,000 ids and 100 keywords. */
  queryValuesMax: 10_000,
  /** Bytes of the largest body, for routes that take no chunks. A request that links 10,000 ids has 390 kB. */
  otherBodyBytesMax: 1_048_576,
  /** Bodies up to so many bytes have a room of their own, so that they never wait for larger ones. */
  smallBodyBytesMax: 65_536,
  /** Bytes that a body is granted after it has waited for room. */
  roomStepBytes: 65_536,
  /**
   * Bytes of the largest body of a request without a key, which signs in. A key has 512 characters of at most 6 bytes.
   */
  strangerBodyBytesMax: 4_096,
  /** Bytes of such bodies in memory at the same time, in a room of their own; more wait. */
  strangerBodiesBytesMax: 4_194_304,
  /** Such a body of which nothing arrives for so many ms is answered 408. */
  strangerBodyStallMsMax: 5_000,
  /** Organizations of which one body each may go on with a pass when there is no room, so that bodies never deadlock. */
  roomPassesMax: 4,
  /**
   * How long such a body goes on while others wait for a pass, in ms. So a body that has stopped or is slow delays them
   * no longer.
   */
  roomTurnMs: 100,
  /** Bytes that bodies may hold which have lost their pass after a turn, of small and of large ones each. */
  lapsedBytesMax: 4_194_304,
  /** Longest wait of a body for room, in ms; then 503. */
  roomWaitMsMax: 25_000,
  /**
   * A body of which nothing arrives for so many ms is answered 408. After that time it must also be as fast as
   * bodyBytesPerSecondMin.
   */
  bodyStallMsMax: 20_000,
  /** Bytes that a body must bring in each second that it takes beyond bodyStallMsMax; otherwise 408. */
  bodyBytesPerSecondMin: 1_024,
  /** Longest time in which a whole body must arrive, in ms; then 408. Time in which it waits for room does not count. */
  bodyMsMax: 600_000,
  /** Bytes of a refused or unwanted body that are still read and discarded, so that the client reads the answer. */
  bodyDrainBytesMax: 268_435_456,
  /** Longest wait for those bytes, in ms; then the connection is closed. */
  bodyDrainMsMax: 20_000,
  /**
   * Small pieces of bodies with chunked encoding in one turn of the event loop; then no connection is read for the rest
   * of the turn. One read can bring 10,000 pieces of one byte.
   */
  bodyPiecesPerTurn: 1_000,
  /** Bytes of unwanted bodies that are read and discarded in one turn of the event loop. */
  unwantedBytesPerTurn: 1_048_576,
  /** Objects and arrays in one body. 10,000 channels have 30,002. A body with more is refused before it is parsed. */
  bodyContainersMax: 40_000,
  /** Strings and names in one body. 10,000 channels have 50,009. A body with more is refused before it is parsed. */
  bodyStringsMax: 100_000,
  /** The same for a route that takes no chunks, whose body is parsed on the event loop: enough to link 10,000 ids. */
  otherBodyStringsMax: 20_000,
  /**
   * Bodies up to so many bytes are parsed without counting objects, arrays and strings first: parsing one takes 5 ms at
   * most.
   */
  uncountedBodyBytesMax: 32_768,
  /** Unknown parameters and fields of one request that the header Ignored, or a 422, names; the rest are counted. */
  unknownNamesShownMax: 10,
  /**
   * Bytes of bodies larger than uncountedBodyBytesMax that are parsed in one turn of the event loop, of each
   * organization in turn. The last one may go beyond it, so two of 1,000 channels are never parsed in one turn. One
   * takes up to 30 ms in a process that has just started.
   */
  parsedBytesPerTurn: 65_536,
  /** Longest wait for the metrics of a busy process, in ms; without its answer those of the others are added up. */
  metricsMsMax: 2_000,
  /** Refused requests of one status that are logged one by one in each refusalLogMs; the others are only counted. */
  refusalsLoggedMax: 20,
  /** How often one line of the log sums up the requests that were only counted, in ms. */
  refusalLogMs: 60_000,
  /** Answered requests of one status that are logged one by one in each refusalLogMs; the others are only counted. */
  answersLoggedMax: 600,
  /** Kinds of requests (status, route, and key or address) that are counted separately. */
  refusalKindsMax: 200,
  /** How many of those kinds, the most frequent, the sum in the log names. */
  refusalKindsShownMax: 5,
  /** Characters of the X-Request-Id that a client sends; for a longer one the request gets an id of the server. */
  requestIdLengthMax: 128,
  /**
   * Reads of one server process at the same time, each of a few MB; more wait. An organization may have as many as are
   * free.
   */
  readsMax: 64,
  /** Reads of one organization that may wait; over it 503. */
  waitingReadsMax: 1_000,
  /** Longest wait of a read for each thing that it needs (a place, a plan, memory), in ms; then 503. */
  readWaitMsMax: 25_000,
  /** Reads that make their plan, the list of the chunks that they read, at the same time. */
  readPlansMax: 6,
  /** Bytes that all reads together hold beyond the few MB of each: rows of many channels, plans of many chunks, large chunks. */
  largeReadBytesMax: 268_435_456,
  /**
   * A read whose client has taken nothing for so many ms is cut off when others of its organization, or of one with
   * fewer reads, wait for room.
   */
  stalledReadMsMax: 10_000,
  /** Milliseconds that all reads together work in one turn of the event loop. */
  readTurnMsMax: 10,
  /**
   * Plausible Unix seconds, 2001-09-09 to 2065-01-24. Other times are stored too, and the client gets a warning. The
   * range excludes times since another epoch or in another unit: relative times, days, LabVIEW (seconds since 1904),
   * Cocoa (since 2001), clocks that were not set (1970, 1980, 2000), and ms, µs and ns since 1970.
   */
  plausibleSecondsMin: 1_000_000_000,
  plausibleSecondsMax: 3_000_000_000,
};

export type HttpLimits = Readonly<typeof httpLimits>;
