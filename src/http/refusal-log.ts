import type { HttpLimits } from './limits.ts';

/** Keeps the log from being filled by who is refused again and again. */
export interface RefusalLog {
  /**
   * Counts a refusal.
   * @param isStranger whether no known key came with it
   * @returns whether it is to be logged by itself
   */
  takes(status: number, isStranger?: boolean): boolean;
  /** Sums up what is still counted, and stops. */
  close(): void;
}

interface Options {
  limits: Pick<HttpLimits, 'refusalsLoggedMax' | 'refusalLogMs'>;
  /** Logs how many refusals of each status were counted alone. */
  sumUp(counts: Record<string, number>): void;
}

/**
 * In each `refusalLogMs` the first `refusalsLoggedMax` refusals of a status are logged by themselves, under a known key and without
 * one, so that a flood of one hides no other, and the rest is one line. So no flood of requests makes the log grow faster than that.
 */
export function createRefusalLog({ limits, sumUp }: Options): RefusalLog {
  /** By status; those of strangers below zero. */
  const seen = new Map<number, number>();
  let timer: NodeJS.Timeout | undefined;

  function turn(): void {
    timer = undefined;
    const counts: Record<string, number> = {};
    for (const [place, count] of seen) {
      const [status, more] = [Math.abs(place), count - limits.refusalsLoggedMax];
      if (more > 0) counts[status] = (counts[status] ?? 0) + more;
    }
    seen.clear();
    if (Object.keys(counts).length > 0) sumUp(counts);
  }

  return {
    takes(status, isStranger = false) {
      timer ??= setTimeout(turn, limits.refusalLogMs).unref();
      const place = isStranger ? -status : status;
      const count = (seen.get(place) ?? 0) + 1;
      seen.set(place, count);
      return count <= limits.refusalsLoggedMax;
    },
    close() {
      clearTimeout(timer);
      turn();
    },
  };
}
