import { setTimeout as sleep } from 'node:timers/promises';
import { within } from '../lib/within.ts';
import {
  CommitInDoubt,
  DatabaseAway,
  DatabaseSilent,
  isAway,
  isConflict,
  isConnectionLoss,
  isNodeAway,
} from './failures.ts';
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
    /** After this time without an answer to an attempt, the database is asked whether it is there; never by default. */
    lateAnswerMs?: number;
    /** Pause before the next attempt while one node of a cluster is away. */
    nodeRetryMs: number;
  };
}

/**
 * Runs a call, and retries it while the database or the node that it needs is away, until it succeeds or its deadline passes: clients send such
 * calls only once. An earlier attempt may have succeeded with only its answer lost, or may still succeed. So all
 * attempts must have the same effect together as one alone. An insert with an id that the caller has chosen does that,
 * with `on conflict do nothing`.
 * @throws what the attempt throws, unless that is because the database is away; CommitInDoubt when the deadline has
 * passed and one of the attempts may have succeeded
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
      if (!isAway(error) && !isConflict(error) && !isNodeAway(error)) throw error;
      failure = error;
      isInDoubt ||= error instanceof CommitInDoubt || isConnectionLoss(error as Error);
      if (msLeft() <= 0) throw giveUp();
      if (isAway(error)) outage.begin(error);
      if (isNodeAway(error)) await sleep(Math.min(limits.nodeRetryMs, msLeft()));
    }
  }
}

/** Awaits the attempt. While it takes long, the database is asked whether it is there. */
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
