import type { Database } from '../database/database.ts';
import { DatabaseAway } from '../database/failures.ts';
import type { Patience } from '../database/transactions.ts';
import { whileAway } from '../database/while-away.ts';
import { unavailable } from '../errors.ts';
import type { StreamLimits } from './limits.ts';

/** Calls that open and finalize streams. They use the connections of ingest, a few at a time, and wait as chunks do. */
export interface IngestCalls {
  /**
   * Runs a call, again while the database is away; each attempt must come to the same.
   * @param arrivedAt milliseconds
   * @throws ApiError 503 when too many wait, or the server stops while this one waits; what the attempt throws
   */
  run<Result>(arrivedAt: number, attempt: (patience: Patience) => Promise<Result>): Promise<Result>;
  /** Refuses what waits for a database that is away. A call that comes later is tried once. */
  close(): void;
}

export function createIngestCalls(
  { outage }: Pick<Database, 'outage'>,
  limits: StreamLimits,
  now: () => number,
): IngestCalls {
  const options = { outage, now, limits: { callMsMax: limits.waitMsMax } };
  const patience = { lateAnswerMs: limits.lateAnswerMs, lookMsMax: limits.lookMsMax };
  const waiting: (() => void)[] = [];
  const closing = new AbortController();
  let running = 0;
  let count = 0;

  /** A turn among the calls that are with PostgreSQL. */
  async function inTurn<Result>(arrivedAt: number, work: () => Promise<Result>): Promise<Result> {
    if (running >= limits.callsMax) await new Promise<void>((resolve) => waiting.push(resolve));
    else running++;
    try {
      // It has been answered meanwhile.
      if (now() - arrivedAt > limits.waitMsMax) throw new DatabaseAway();
      return await work();
    } finally {
      // The turn goes on to the next one.
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  }

  return {
    async run(arrivedAt, attempt) {
      if (count >= limits.waitingCallsMax) {
        throw unavailable(`${limits.waitingCallsMax} calls are waiting for the database; nothing was stored.`);
      }
      count++;
      try {
        const once = () => inTurn(arrivedAt, () => attempt(patience));
        const isAway = () => outage.ms() !== undefined;
        if (closing.signal.aborted && isAway()) throw stopping();
        if (closing.signal.aborted) return await once();
        return await untilClosed(whileAway({ ...options, arrivedAt }, once), closing.signal, isAway);
      } finally {
        count--;
      }
    },
    close: () => closing.abort(),
  };
}

/** What a promise gives, unless the server stops while the database is away. */
async function untilClosed<Result>(
  answer: Promise<Result>,
  signal: AbortSignal,
  isAway: () => boolean,
): Promise<Result> {
  answer.catch(() => {});
  let stop = () => {};
  const closed = new Promise<never>((_, reject) => {
    stop = () => {
      if (isAway()) reject(stopping());
    };
    signal.addEventListener('abort', stop);
  });
  try {
    return await Promise.race([answer, closed]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

const stopping = () => unavailable('The database is away and the server is stopping; send it again.');
