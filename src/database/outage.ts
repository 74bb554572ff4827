/*
 * Whether PostgreSQL is away. Code that finds it away reports that here. Then one probe asks until it is back, and all
 * who wait are notified. So nobody else has to try, and the many that wait do not all try at once.
 */
import type pg from 'pg';
import { DatabaseReadOnly, DiskFull, isReadable } from './failures.ts';
import { hasSqlstate, sqlstates } from './sqlstates.ts';
import { askWithin } from './transactions.ts';

export interface Outage {
  /** Milliseconds since the database was found away; undefined while it is there. */
  ms(): number | undefined;
  /** Whether it does not answer at all, so that reads need not try either. If false, it only takes no writes. */
  isUnreachable(): boolean;
  /** The first reported reason why it is away. */
  cause(): unknown;
  /** Reports an error of a statement or a connection that was caused by the absence of the database. */
  begin(error: unknown): void;
  /** Resolves when the database is there and takes writes; at once when it has not been reported away. */
  over(): Promise<void>;
  /** Probes once. @throws when it does not answer in time, or takes no writes */
  look(): Promise<void>;
  /** Stops probing. `over` of those who still wait never resolves. */
  close(): void;
}

interface OutageOptions {
  limits: { outageLookMsMax: number; outageRetryMs: number; outageRetryMsMax: number };
  /** Milliseconds from any origin. */
  now(): number;
  /** Checks whether something else forbids to store anything, and returns that. */
  obstacle?: (() => Promise<Error | undefined>) | undefined;
}

/** @param pool its connections are replaced after an outage, since the address may lead to another machine by then */
export function createOutage(pool: pg.Pool, { limits, now, obstacle }: OutageOptions): Outage {
  let current: { since: number; cause: unknown; isUnreachable: boolean; over: Promise<void> } | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  const look = () => ask(pool, limits.outageLookMsMax);
  async function lookAnew(cause: unknown): Promise<void> {
    const failure = await obstacle?.();
    if (failure !== undefined) throw failure;
    // Existing connections are kept if no new one could be made, or if they were not the problem.
    const areKept = cause instanceof DiskFull || hasSqlstate(cause, sqlstates.tooManyConnections);
    await (areKept ? look() : askAnew(pool, limits.outageLookMsMax));
  }

  function untilBack(cause: unknown): Promise<void> {
    return new Promise((resolve) => {
      const askAfter = (pauseMs: number) => {
        timer = setTimeout(async () => {
          const failure = await lookAnew(cause).catch((error: unknown) => error ?? new Error('away'));
          if (isClosed) return;
          if (failure === undefined) {
            current = undefined;
            return resolve();
          }
          if (current !== undefined) current.isUnreachable = !isReadable(failure);
          askAfter(Math.min(pauseMs * 2, limits.outageRetryMsMax));
        }, pauseMs);
      };
      askAfter(limits.outageRetryMs);
    });
  }

  return {
    ms: () => (current === undefined ? undefined : now() - current.since),
    cause: () => current?.cause,
    isUnreachable: () => current?.isUnreachable ?? false,
    begin(error) {
      if (current !== undefined || isClosed) return;
      current = { since: now(), cause: error, isUnreachable: !isReadable(error), over: untilBack(error) };
    },
    over: () => current?.over ?? Promise.resolve(),
    look,
    close() {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}

/** A connection from before the outage may lead to a machine that is no longer the primary. */
async function askAnew(pool: pg.Pool, msMax: number): Promise<void> {
  for (let count = pool.idleCount; count > 0; count--) {
    const client = await pool.connect();
    client.release(new Error('from before an outage'));
  }
  await ask(pool, msMax);
}

async function ask(pool: pg.Pool, msMax: number): Promise<void> {
  const text = `select pg_is_in_recovery() or current_setting('transaction_read_only')::boolean as "isReadOnly"`;
  const { rows } = await askWithin<{ isReadOnly: boolean }>(pool, { text }, msMax);
  if (rows[0]?.isReadOnly) throw new DatabaseReadOnly();
}
