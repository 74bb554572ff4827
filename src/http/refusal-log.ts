import type { HttpLimits } from './limits.ts';

/** Keeps the log from being filled by who asks, or is refused, again and again. */
export interface RefusalLog {
  /**
   * Counts an answer.
   * @param isStranger whether no known key came with it
   * @param kindOf by what it is added up with others, when it has no line
   * @returns whether it is to be logged by itself
   */
  takes(status: number, isStranger?: boolean, kindOf?: () => object): boolean;
  /** Sums up what is still counted, and stops. */
  close(): void;
}

/** Answers that were only counted. */
export interface Kind {
  status: number;
  count: number;
}

interface Options {
  limits: Pick<HttpLimits, 'refusalsLoggedMax' | 'refusalLogMs'> &
    Partial<Pick<HttpLimits, 'answersLoggedMax' | 'refusalKindsMax' | 'refusalKindsShownMax'>>;
  /**
   * Logs how many refusals of each status were counted alone.
   * @param most of which kinds most were, with what `kindOf` says of each
   */
  sumUp(counts: Record<string, number>, most: Kind[]): void;
}

/**
 * In each `refusalLogMs` the first `refusalsLoggedMax` refusals of a status are logged by themselves, under a known key and without
 * one, so that a flood of one hides no other, and the rest is one line. So no flood of requests makes the log grow faster than that. Of
 * what was not refused there are `answersLoggedMax`.
 */
export function createRefusalLog({ limits, sumUp }: Options): RefusalLog {
  const { refusalsLoggedMax, answersLoggedMax = 0, refusalKindsMax = 0, refusalKindsShownMax = 0 } = limits;
  /** By status; those of strangers below zero. */
  const seen = new Map<number, number>();
  const kinds = new Map<string, Kind>();
  let timer: NodeJS.Timeout | undefined;
  const loggedMax = (status: number) => (Math.abs(status) < 400 ? answersLoggedMax : refusalsLoggedMax);

  function turn(): void {
    timer = undefined;
    const counts: Record<string, number> = {};
    for (const [place, count] of seen) {
      const [status, more] = [Math.abs(place), count - loggedMax(place)];
      if (more > 0) counts[status] = (counts[status] ?? 0) + more;
    }
    const most = [...kinds.values()].sort((one, other) => other.count - one.count).slice(0, refusalKindsShownMax);
    seen.clear();
    kinds.clear();
    if (Object.keys(counts).length > 0) sumUp(counts, most);
  }

  function addUp(status: number, of: object): void {
    const name = `${status} ${JSON.stringify(of)}`;
    const kind = kinds.get(name);
    if (kind !== undefined) kind.count++;
    // Further kinds are in the sum of their status.
    else if (kinds.size < refusalKindsMax) kinds.set(name, { status, ...of, count: 1 });
  }

  return {
    takes(status, isStranger = false, kindOf) {
      timer ??= setTimeout(turn, limits.refusalLogMs).unref();
      const place = isStranger ? -status : status;
      const count = (seen.get(place) ?? 0) + 1;
      seen.set(place, count);
      if (count <= loggedMax(status)) return true;
      if (kindOf !== undefined) addUp(status, kindOf());
      return false;
    },
    close() {
      clearTimeout(timer);
      turn();
    },
  };
}
