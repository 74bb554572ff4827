/** What bounds the door: connections, requests on them, headers and bodies, and the log of what is refused. */
export const httpLimits = {
  /** Bytes of request line and headers: the SDK searches for 1,000 ids in one URL (46 KB). */
  headerBytesMax: 262_144,
  /** Header fields of one request; one that has more is answered 431, and nothing of it is acted upon. */
  headersMax: 1_000,
  /**
   * Bytes of heads that all connections without a known key hold together, of those that are not complete and of requests that are
   * served or wait; beyond it the one is closed that has taken most of the room, with 408 where it has asked for nothing yet.
   */
  strangerHeadsBytesMax: 16_777_216,
  /** The same of all connections with a known key; an organization may have as much as it leaves free. */
  keyedHeadsBytesMax: 33_554_432,
  /** A connection that holds no more bytes of heads than that is not counted, so that a small head always goes through. */
  headBytesFree: 2_048,
  /** Longest wait for the request line and the headers of a request, from its first byte on; then 408. */
  headersMsMax: 60_000,
  /** Idle sockets: the SDK's streamer keeps its own for 90 s and would lose a chunk on one that the server closed. */
  keepAliveMs: 120_000,
  /** How long a connection that sent no valid request is read on, so that its sender reads the answer. */
  clientErrorDrainMsMax: 2_000,
  /** Requests of one connection that are served at a time. While more have arrived, the connection is not read. */
  requestsPerConnectionMax: 4,
  /**
   * Milliseconds in which requests sent ahead, and reads that bring much of heads or trailers, come in one turn of the event loop; then
   * no connection is read for the rest of it. One read brings 64 KiB, parsed in one go, and 50 connections would be read in one turn.
   */
  aheadMsPerTurn: 8,
  /** Requests that one connection may have sent ahead of those that are served, more than one read brings; then it is closed. */
  requestsAheadMax: 3_000,
  /**
   * Requests that all connections with a known key together may have sent ahead. An organization may have as many as it leaves free;
   * beyond that its connections are not read, until half of them have been begun or it has been so for `keyedOverMsMax`.
   */
  keyedAheadMax: 8_000,
  /**
   * After so long connections of an organization beyond its share are read again, though its clients take no answers; one that sends
   * more than `strangerAheadMin` ahead is closed then.
   */
  keyedOverMsMax: 5_000,
  /** Requests that all connections without a known key together may have sent ahead; the one that sends more is closed. */
  strangersAheadMax: 2_000,
  /** Each of those connections has the same share of them, but never less than so many. */
  strangerAheadMin: 16,
  /**
   * Connections without a known key that are read at a time; what comes on others waits in the kernel. Node parses all that
   * has come on each of them in one turn of the event loop, up to 1.5 ms for 64 KiB of header lines. Half of them are the newest:
   * as many as are accepted in two turns (process.connectionsPerTurn), so that each has been looked at before the next come.
   */
  strangersReadMax: 64,
  /** How often half of them make room for as many others, when there are more and nobody is in haste. */
  strangerLookMs: 50,
  /** Silent ones that are looked at each time, without haste. Each look costs up to 70 µs. */
  strangerSilentLooksMax: 8,
  /** Within so long all silent ones are looked at once: their looks come faster than `strangerLookMs` when they are more than 640. */
  strangerRoundMs: 4_000,
  /** So long a new connection without a known key is looked at more often: a request comes one round trip after it. */
  strangerNewMs: 1_000,
  /** So long one is looked at more often that has asked for something: a browser asks again. */
  strangerLivelyMs: 60_000,
  /** Connections without a known key that are looked at without a pause after one of them has asked for something. */
  strangerHasteMax: 16,
  /**
   * Requests under known keys that are begun in one turn of the event loop, of each organization in turn; the rest wait for
   * the next. Fewer than connections are accepted in one, so that none waits behind what many others ask for.
   */
  requestsPerTurnMax: 8,
  /** Requests without a known key that are begun in one turn of the event loop; the rest wait for the next. */
  strangersPerTurnMax: 8,
  /**
   * Connections of one server process; unset (0), as many as the process may have files open, without descriptorsKept. For
   * one more the oldest is closed on which no known key has come yet.
   */
  connectionsMax: 0,
  /** So many more may wait to be looked at for the first time; they take from descriptorsKept. */
  connectionsUnreadOverMax: 128,
  /** Files that the process may still open when all connections are there: the database, logs, a new version's start. */
  descriptorsKept: 256,
  /** A connection on which no byte moves for so long, in either direction, is closed. */
  connectionSilentMsMax: 300_000,
  /** Characters of a path, without its query; over it 414. The longest with an id has a hundred, and 250,000 take 10 ms to be no route. */
  pathLengthMax: 4_096,
  /** Different parameters of a query, known or not; over it 400. No route knows thirty. */
  queryNamesMax: 200,
  /** Values of all parameters of a query; over it 400: a search may name 5,000 ids and 100 keywords. */
  queryValuesMax: 10_000,
  /** Largest body of every route but those that take chunks: 10,000 ids to link have 390 kB. */
  otherBodyBytesMax: 1_048_576,
  /** Bodies up to this size have room of their own, so that they never wait for larger ones. */
  smallBodyBytesMax: 65_536,
  /** Bytes of room that a body is given when it has waited for some. */
  roomStepBytes: 65_536,
  /** Largest body of a request without a key, which signs in: a key has 512 characters, each of 6 bytes at most. */
  strangerBodyBytesMax: 4_096,
  /** Bytes of such bodies in memory at one time, in a room of their own; more wait. */
  strangerBodiesBytesMax: 4_194_304,
  /** Such a body of which nothing arrives for so long is answered 408. */
  strangerBodyStallMsMax: 5_000,
  /** Organizations of which one body each may go on when there is no room, so that bodies never all wait for each other. */
  roomPassesMax: 4,
  /** How long such a body goes on while others wait to do so; a body that has stopped or drips keeps them no longer. */
  roomTurnMs: 100,
  /** Bytes that bodies may hold which have gone on so and lost their turn, of small and of large ones each. */
  lapsedBytesMax: 4_194_304,
  /** Longest wait of a body for room; then 503. */
  roomWaitMsMax: 25_000,
  /** A body of which nothing arrives for so long is answered 408; so is one that is slower than bodyBytesPerSecondMin then. */
  bodyStallMsMax: 20_000,
  /** Bytes that a body must bring for each second that it takes beyond bodyStallMsMax; then 408. */
  bodyBytesPerSecondMin: 1_024,
  /** Longest time in which a whole body must have arrived; then 408. The time that it waits for room does not count. */
  bodyMsMax: 600_000,
  /** Bytes that are still read and thrown away after a body was refused or not wanted, so that the client reads the answer. */
  bodyDrainBytesMax: 268_435_456,
  /** Longest wait for those bytes; then the connection is closed. */
  bodyDrainMsMax: 20_000,
  /**
   * Small pieces of chunked bodies that come in one turn of the event loop; then no connection is read for the rest of it. One read
   * brings 10,000 pieces of one byte.
   */
  bodyPiecesPerTurn: 1_000,
  /** Bytes of bodies that nobody wants that are thrown away in one turn of the event loop. */
  unwantedBytesPerTurn: 1_048_576,
  /** Objects and arrays in one body: 10,000 channels have 30,002. One that has more is refused before it is built. */
  bodyContainersMax: 40_000,
  /** Strings and names in one body: 10,000 channels have 50,009. One that has more is refused before it is built. */
  bodyStringsMax: 100_000,
  /** Strings and names in a body of a route that takes no chunks, which is read on the event loop: 10,000 ids to link and some. */
  otherBodyStringsMax: 20_000,
  /** Bodies up to this size are not looked through for the two: building one takes 5 ms at most. */
  uncountedBodyBytesMax: 32_768,
  /** Unknown parameters and fields of one request that the header Ignored, or a 422, names; the rest is a number. */
  unknownNamesShownMax: 10,
  /**
   * Bytes of bodies larger than that which are parsed in one turn of the event loop, of each organization in turn; the last may go
   * beyond it, so two of 1,000 channels are never parsed in one turn. One takes up to 30 ms in a process that has just begun.
   */
  parsedBytesPerTurn: 65_536,
  /** Longest wait for the metrics of a process that has much to do; without its answer the others are added up. */
  metricsMsMax: 2_000,
  /** Refused requests of one status that are logged one by one in each refusalLogMs; the others are only counted. */
  refusalsLoggedMax: 20,
  /** How often the refused requests that were only counted are summed up in the log. */
  refusalLogMs: 60_000,
  /** Answered requests of one status that are logged one by one in each refusalLogMs; the others are only counted. */
  answersLoggedMax: 600,
  /** Kinds of counted requests (status, route, and key or address) that are added up by themselves. */
  refusalKindsMax: 200,
  /** Of those, the most frequent that the sum in the log names. */
  refusalKindsShownMax: 5,
  /** Characters of the X-Request-Id that a request brings; a longer one is not taken, and it gets another. */
  requestIdLengthMax: 128,
  /** Reads of one server process at a time, each of a few MB; more wait. An organization has as many as are still free. */
  readsMax: 64,
  /** Reads of one organization that wait; over it 503. */
  waitingReadsMax: 1_000,
  /** Longest wait of a read for each of what it needs: a place, a plan, room in memory; then 503. */
  readWaitMsMax: 25_000,
  /** Reads that find out at the same time which chunks they go through. */
  readPlansMax: 6,
  /** Bytes that all reads together hold beyond the few MB of each: rows of many channels, plans of many chunks, large chunks. */
  largeReadBytesMax: 268_435_456,
  /** A read whose client has taken nothing for so long is cut off when others of its organization wait for room. */
  stalledReadMsMax: 10_000,
  /** Milliseconds that all reads together work in one turn of the event loop. */
  readTurnMsMax: 10,
  /**
   * Unix seconds that are plausible, 2001-09-09 to 2065-01-24; whoever sends others is told, and they are stored. The ends leave
   * out what is counted since another time or in another unit: relative times, days, the years since 1904 of LabVIEW and
   * those since 2001 of Cocoa, clocks that were not set (1970, 1980, 2000), ms, µs and ns since 1970.
   */
  plausibleSecondsMin: 1_000_000_000,
  plausibleSecondsMax: 3_000_000_000,
};

export type HttpLimits = Readonly<typeof httpLimits>;
