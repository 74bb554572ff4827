import type { Readable } from 'node:stream';

/** Spreads the reading of what nobody wants over turns of the event loop, so that a flood of it stalls nobody. */
export interface ReadingPace {
  /** Bytes of a source have been thrown away. When that was enough for this turn, the source pauses until a later one. */
  took(source: Readable, bytes: number): void;
}

/**
 * In one turn the system hands over up to 2 MiB of every connection that sends faster than it is read: 20 of them are a
 * stall. So all sources together are given `bytesPerTurn`, and then go on one after the other.
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

/** What one read of a connection brings. */
const readBytes = 64 * 1_024;
