import type { HttpLimits } from './limits.ts';

/** Keeps the log from being filled by who is refused again and again. */
export interface RefusalLog {
  /** Counts a refusal. @returns whether it is to be logged by itself */
  takes(status: number): boolean;
  /** Sums up what is still counted, and stops. */
  close(): void;
}

interface Options {
  limits: Pick<HttpLimits, 'refusalsLoggedMax' | 'refusalLogMs'>;
  /** Logs how many refusals of each status were counted alone. */
  sumUp(counts: Record<string, number>): void;
}

/**
 * In each `refusalLogMs` the first `refusalsLoggedMax` refusals of a status are logged by themselves, so that a flood of one
 * hides no other, and the rest is one line. So no flood of requests makes the log grow faster than that.
 */
export function createRefusalLog({ limits, sumUp }: Options): RefusalLog {
  const seen = new Map<number, number>();
  let timer: NodeJS.Timeout | undefined;

  function turn(): void {
    timer = undefined;
    const more = [...seen].filter(([, count]) => count > limits.refusalsLoggedMax);
    seen.clear();
    if (more.length > 0) sumUp(Object.fromEntries(more.map(([status, n]) => [status, n - limits.refusalsLoggedMax])));
  }

  return {
    takes(status) {
      timer ??= setTimeout(turn, limits.refusalLogMs).unref();
      const count = (seen.get(status) ?? 0) + 1;
      seen.set(status, count);
      return count <= limits.refusalsLoggedMax;
    },
    close() {
      clearTimeout(timer);
      turn();
    },
  };
}
