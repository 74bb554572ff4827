import type { Database } from '../database/database.ts';
import { DatabaseAway } from '../database/failures.ts';
import type { Patience } from '../database/transactions.ts';
import { whileAway } from '../database/while-away.ts';
import { unavailable } from '../errors.ts';
import { createPlaces } from '../lib/places.ts';
import type { StreamLimits } from './limits.ts';

/**
 * Calls that open and finalize streams. A few at a time use the connections of ingest, and organizations take turns.
 * They wait for the database as chunks do. An organization may have as many calls here as there are places left free.
 */
export interface IngestCalls {
  /**
   * Runs a call, and retries it while the database is away; every attempt must have the same effect.
   * @param arrivedAt milliseconds
   * @throws ApiError 503 when too many wait, or the server stops while this one waits; what the attempt throws
   */
  run<Result>(
    organizationId: string,
    arrivedAt: number,
    attempt: (patience: Patience) => Promise<Result>,
  ): Promise<Result>;
  /** Refuses the calls that wait for a database that is away. A later call is attempted once. */
  close(): void;
}

export function createIngestCalls(
  { outage }: Pick<Database, 'outage'>,
  limits: StreamLimits,
  now: () => number,
): IngestCalls {
  const options = { outage, now, limits: { callMsMax: limits.waitMsMax, nodeRetryMs: limits.heldRetryMs } };
  const patience = { lateAnswerMs: limits.lateAnswerMs, lookMsMax: limits.lookMsMax };
  const inPlace = createPlaces(limits.callsMax);
  const ofOrganization = new Map<string, number>();
  const closing = new AbortController();
  let count = 0;

  /** Runs `work` once fewer than `callsMax` calls are in PostgreSQL. */
  const inTurn = <Result>(organizationId: string, arrivedAt: number, work: () => Promise<Result>): Promise<Result> =>
    inPlace(organizationId, async () => {
      // The deadline has passed, so the client has its answer.
      if (now() - arrivedAt > limits.waitMsMax) throw new DatabaseAway();
      return work();
    });

  function enter(organizationId: string): () => void {
    const own = ofOrganization.get(organizationId) ?? 0;
    if (own >= limits.waitingCallsMax - count) throw tooMany(limits.waitingCallsMax);
    ofOrganization.set(organizationId, own + 1);
    count++;
    return () => {
      const left = (ofOrganization.get(organizationId) as number) - 1;
      if (left === 0) ofOrganization.delete(organizationId);
      else ofOrganization.set(organizationId, left);
      count--;
    };
  }

  return {
    async run(organizationId, arrivedAt, attempt) {
      const leave = enter(organizationId);
      try {
        const once = () => inTurn(organizationId, arrivedAt, () => attempt(patience));
        const isAway = () => outage.ms() !== undefined;
        if (closing.signal.aborted && isAway()) throw stopping();
        if (closing.signal.aborted) return await once();
        return await untilClosed(whileAway({ ...options, arrivedAt }, once), closing.signal, isAway);
      } finally {
        leave();
      }
    },
    close: () => closing.abort(),
  };
}

/** The result of a promise; rejects when the server stops while the database is away. */
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

const tooMany = (callsMax: number) =>
  unavailable(
    `Too many calls of this organization are waiting for the database: it may have as many as are left free of ${callsMax} (waitingCallsMax); nothing was stored.`,
  );

const stopping = () => unavailable('The database is away and the server is stopping; send it again.');
