import type { Database } from '../database/database.ts';
import { DatabaseAway } from '../database/failures.ts';
import type { Patience } from '../database/transactions.ts';
import { whileAway } from '../database/while-away.ts';
import { unavailable } from '../errors.ts';
import { createRotation } from '../lib/rotation.ts';
import type { StreamLimits } from './limits.ts';

/**
 * Calls that open and finalize streams. They use the connections of ingest, a few at a time, of each organization in turn, and
 * wait as chunks do. An organization may have as many of them here as it leaves free.
 */
export interface IngestCalls {
  /**
   * Runs a call, again while the database is away; each attempt must come to the same.
   * @param arrivedAt milliseconds
   * @throws ApiError 503 when too many wait, or the server stops while this one waits; what the attempt throws
   */
  run<Result>(
    organizationId: string,
    arrivedAt: number,
    attempt: (patience: Patience) => Promise<Result>,
  ): Promise<Result>;
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
  const waiting = createRotation<() => void>();
  const ofOrganization = new Map<string, number>();
  const closing = new AbortController();
  let running = 0;
  let count = 0;

  /** A turn among the calls that are with PostgreSQL. */
  async function inTurn<Result>(
    organizationId: string,
    arrivedAt: number,
    work: () => Promise<Result>,
  ): Promise<Result> {
    if (running >= limits.callsMax) await new Promise<void>((resolve) => waiting.push(organizationId, resolve));
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

const tooMany = (callsMax: number) =>
  unavailable(
    `As many calls of this organization are waiting for the database as it leaves free of ${callsMax} (waitingCallsMax); nothing was stored.`,
  );

const stopping = () => unavailable('The database is away and the server is stopping; send it again.');
