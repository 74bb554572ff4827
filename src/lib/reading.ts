/** What a long read needs from its surroundings: a cancellation signal, turns of the event loop, and room in memory. */
export interface Reading {
  /** Aborted when the client has gone, or when the server cuts the read off. Passed on to waits and SQL statements. */
  signal: AbortSignal;
  /**
   * Await it before each step of a few ms (`turns.ts`) when fetching, merging or writing.
   * @throws the reason of the signal, once that is aborted
   */
  rest(): Promise<void>;
  /** Runs the planning of a read. Its need of memory is not known in advance, so only a few plans run at a time. */
  plan<Result>(work: () => Promise<Result>): Promise<Result>;
  /**
   * Reserves bytes of memory that the read needs beyond the usual amount. Waits until they are free.
   * @returns a function that gives them back; the end of the read gives back the rest
   */
  enlarge(bytes: number): Promise<() => void>;
  /**
   * `plan` and `enlarge` without waiting, for work that is prepared ahead. Since they never wait, a caller that holds
   * one may ask for the other without a deadlock.
   * @returns undefined when there is no room now
   */
  tryPlan<Result>(work: () => Promise<Result>): Promise<Result> | undefined;
  tryEnlarge(bytes: number): (() => void) | undefined;
}

/** A reading without bounds, for tests and for work that belongs to no request. */
export const freely: Reading = {
  signal: new AbortController().signal,
  rest: async () => {},
  plan: (work) => work(),
  enlarge: async () => () => {},
  tryPlan: (work) => work(),
  tryEnlarge: () => () => {},
};
