/** What bounds the bodies of chunks; what bounds their storing stands in `config.ts`. */
export const streamsLimits = {
  /** Bodies of chunks up to this size are parsed on the event loop, in 10 ms at most; larger ones in a thread. */
  loopBodyBytesMax: 524_288,
  /** How long the thread stays when it has nothing to do, and with it the memory that it has taken. */
  threadIdleMs: 30_000,
};

export type StreamsLimits = Readonly<typeof streamsLimits>;
