/*
 * Whether PostgreSQL is away. Whoever finds it so says it here; then one prober asks until it is back, and all who wait are
 * told. So nobody else has to try, and a crowd that has waited does not try all at once.
 */
import type pg from 'pg';
import { DatabaseReadOnly, DiskFull, isReadable } from './failures.ts';
import { hasSqlstate, sqlstates } from './sqlstates.ts';
import { askWithin } from './transactions.ts';

export interface Outage {
  /** Milliseconds since the database was found away; undefined while it is there. */
  ms(): number | undefined;
  /** Whether it answers nothing at all: reads need not try. Otherwise it is only that nothing can be written. */
  isUnreachable(): boolean;
  /** Why it is away, as it was said first. */
  cause(): unknown;
  /** Says that a statement or a connection has failed with this, because the database is away. */
  begin(error: unknown): void;
  /** Resolves when the database is there and can be written to; at once, when nobody has said that it is away. */
  over(): Promise<void>;
  /** Asks once. @throws when it does not answer in time, or cannot be written to */
  look(): Promise<void>;
  /** Asks no more. Who waits for the end is not told. */
  close(): void;
}

interface OutageOptions {
  limits: { outageLookMsMax: number; outageRetryMs: number; outageRetryMsMax: number };
  /** Milliseconds from any origin. */
  now(): number;
  /** Looks whether something else forbids to store anything, and gives it. */
  obstacle?: (() => Promise<Error | undefined>) | undefined;
}

/** @param pool whose connections are made anew after an outage, since its address may lead to another machine then */
export function createOutage(pool: pg.Pool, { limits, now, obstacle }: OutageOptions): Outage {
  let current: { since: number; cause: unknown; isUnreachable: boolean; over: Promise<void> } | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  const look = () => ask(pool, limits.outageLookMsMax);
  async function lookAnew(cause: unknown): Promise<void> {
    const failure = await obstacle?.();
    if (failure !== undefined) throw failure;
    // Those that are there are kept where no new one could be made, or nothing was wrong with them.
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

/** A connection from before may lead to a machine that is not the primary any more. */
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
