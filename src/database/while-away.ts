import { within } from '../lib/within.ts';
import { CommitInDoubt, DatabaseAway, DatabaseSilent, isAway, isConflict, isConnectionLoss } from './failures.ts';
import type { Outage } from './outage.ts';

export interface AwayOptions {
  outage: Outage;
  /** When the request came, by `now`. */
  arrivedAt: number;
  /** Milliseconds from any origin. */
  now(): number;
  limits: {
    /** Longest time from the arrival until the call is answered. */
    callMsMax: number;
    /** How long an attempt may go unanswered until the database is asked whether it is there; not at all by default. */
    lateAnswerMs?: number;
  };
}

/**
 * Runs a call again while the database is away, until it succeeds or its time is over: clients send such calls once.
 * The attempt before may have been carried out, and only its answer lost, or may still be. So an attempt must come to the
 * same whether it is the first or not, as an insert of an id that the caller has chosen does, `on conflict do nothing`.
 * @throws what the attempt throws when it is not for the absence of the database; CommitInDoubt when the time is over and
 *   one of the attempts may have been carried out
 */
export async function whileAway<Result>(
  { outage, arrivedAt, now, limits }: AwayOptions,
  attempt: () => Promise<Result>,
): Promise<Result> {
  const msLeft = () => arrivedAt + limits.callMsMax - now();
  let failure: unknown = outage.cause() ?? new DatabaseAway();
  let isInDoubt = false;
  const giveUp = () => (isInDoubt ? new CommitInDoubt(failure as Error) : (failure as Error));
  for (;;) {
    if (outage.ms() !== undefined) await within(outage.over(), Math.max(0, msLeft()), giveUp);
    try {
      const late = () => new CommitInDoubt(new DatabaseSilent(limits.callMsMax));
      return await within(unlessAway(outage, attempt(), limits.lateAnswerMs), Math.max(0, msLeft()), late);
    } catch (error) {
      if (!isAway(error) && !isConflict(error)) throw error;
      failure = error;
      isInDoubt ||= error instanceof CommitInDoubt || isConnectionLoss(error as Error);
      if (msLeft() <= 0) throw giveUp();
      if (isAway(error)) outage.begin(error);
    }
  }
}

/** What the attempt gives. While it does not, the database is asked whether it is there. */
async function unlessAway<Result>(
  outage: Outage,
  attempt: Promise<Result>,
  lateAnswerMs: number | undefined,
): Promise<Result> {
  if (lateAnswerMs === undefined) return attempt;
  let timer: NodeJS.Timeout | undefined;
  const away = new Promise<never>((_, reject) => {
    const look = () => outage.look().then(() => wait(), reject);
    const wait = () => {
      timer = setTimeout(look, lateAnswerMs);
    };
    wait();
  });
  away.catch(() => {});
  attempt.catch(() => {});
  try {
    return await Promise.race([attempt, away]);
  } finally {
    clearTimeout(timer);
  }
}
