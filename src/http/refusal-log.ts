import type { HttpLimits } from './limits.ts';

/** Decides which answers are logged one by one, so that a flood of requests cannot fill the log. */
export interface RefusalLog {
  /**
   * Counts an answer.
   * @param isStranger whether the request had no known key
   * @param kindOf the fields by which it is counted when it is not logged
   * @returns whether it is to be logged in a line of its own
   */
  takes(status: number, isStranger?: boolean, kindOf?: () => object): boolean;
  /** Logs the sum of what was only counted so far, and stops. */
  close(): void;
}

/** Answers of one kind that were only counted. */
export interface Kind {
  status: number;
  count: number;
}

interface Options {
  limits: Pick<HttpLimits, 'refusalsLoggedMax' | 'refusalLogMs'> &
    Partial<Pick<HttpLimits, 'answersLoggedMax' | 'refusalKindsMax' | 'refusalKindsShownMax'>>;
  /**
   * Logs how many answers of each status were only counted.
   * @param most the most frequent kinds, with the fields of `kindOf`
   */
  sumUp(counts: Record<string, number>, most: Kind[]): void;
}

/**
 * In each `refusalLogMs` the first `refusalsLoggedMax` refusals of a status are logged one by one, and the rest as one
 * line that sums them up. Requests with a known key and without one are counted separately, so that a flood of
 * strangers hides nothing else. For answers that are not refusals the limit is `answersLoggedMax`. So the log has a
 * bounded rate, whatever is sent.
 */
export function createRefusalLog({ limits, sumUp }: Options): RefusalLog {
  const { refusalsLoggedMax, answersLoggedMax = 0, refusalKindsMax = 0, refusalKindsShownMax = 0 } = limits;
  /** Counts by status; those of strangers have the negative status as key. */
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
    // Kinds beyond refusalKindsMax are counted in the sum of their status only.
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
