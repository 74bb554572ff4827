import type { Readable } from 'node:stream';

/** Spreads the reading of unwanted bodies over turns of the event loop, so that a flood of them does not block it. */
export interface ReadingPace {
  /** So many bytes of a source have been discarded. When that is enough for this turn, the source is paused until a later one. */
  took(source: Readable, bytes: number): void;
}

/**
 * In one turn of the event loop Node reads up to 2 MiB from every connection that sends faster than it is read, so that 20 of them
 * block the loop noticeably. So all sources together may take `bytesPerTurn`. Beyond that they pause, and are resumed a few in each
 * turn, in the order in which they paused.
 */
export function createReadingPace(bytesPerTurn: number): ReadingPace {
  let left = bytesPerTurn;
  const resting = new Set<Readable>();
  let isTurnDue = false;

  function turn(): void {
    isTurnDue = false;
    left = bytesPerTurn;
    const sources = [...resting];
    for (const source of sources.slice(0, Math.max(1, Math.floor(bytesPerTurn / readBytes)))) {
      resting.delete(source);
      source.resume();
    }
    if (sources.length > 0) begin();
  }

  function begin(): void {
    if (isTurnDue) return;
    isTurnDue = true;
    setImmediate(turn);
  }

  return {
    took(source, bytes) {
      begin();
      left -= bytes;
      if (left > 0 || resting.has(source)) return;
      source.pause();
      resting.add(source);
    },
  };
}

/** Bytes that one read of a connection brings at most. */
const readBytes = 64 * 1_024;
