/** What a read that goes on for a while must ask: whether anybody still waits for it, whose turn it is, and for room. */
export interface Reading {
  /** Aborted when the client has gone, or when the read is cut off. Handed down to waits and statements. */
  signal: AbortSignal;
  /**
   * To be awaited before each step of a few ms (`turns.ts`), by whoever fetches, merges or writes.
   * @throws the reason of the signal, once that is aborted
   */
  rest(): Promise<void>;
  /** Finds out what is to be read, which takes memory that nobody knows before: few do so at a time. */
  plan<Result>(work: () => Promise<Result>): Promise<Result>;
  /**
   * Takes room for what a read holds beyond the usual, in bytes. Waits until there is some.
   * @returns what gives it back; all of it is given back with the read at the latest
   */
  enlarge(bytes: number): Promise<() => void>;
  /**
   * The same two, for what is got ready ahead: they never wait, so that one may be had while the other is held.
   * @returns undefined where there is no room at once
   */
  tryPlan<Result>(work: () => Promise<Result>): Promise<Result> | undefined;
  tryEnlarge(bytes: number): (() => void) | undefined;
}

/** A read that nobody bounds: of tests, and of work that is no request's. */
export const freely: Reading = {
  signal: new AbortController().signal,
  rest: async () => {},
  plan: (work) => work(),
  enlarge: async () => () => {},
  tryPlan: (work) => work(),
  tryEnlarge: () => () => {},
};
