/*
 * Whether PostgreSQL is away. Whoever finds it so says it here; then one prober asks until it is back, and all who wait are
 * told. So nobody else has to try, and a crowd that has waited does not try all at once.
 */
import type pg from 'pg';
import { DatabaseReadOnly, isReadable } from './failures.ts';
import { askWithin } from './transactions.ts';

export interface Outage {
  /** Milliseconds since the database was found away; undefined while it is there. */
  ms(): number | undefined;
  /** Whether it answers nothing at all: reads need not try. Otherwise it is only that nothing can be written. */
  isUnreachable(): boolean;
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
}

/** @param pool whose connections are made anew after an outage, since its address may lead to another machine then */
export function createOutage(pool: pg.Pool, { limits, now }: OutageOptions): Outage {
  let current: { since: number; isUnreachable: boolean; over: Promise<void> } | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  const look = () => ask(pool, limits.outageLookMsMax);

  function untilBack(cause: unknown): Promise<void> {
    return new Promise((resolve) => {
      const askAfter = (pauseMs: number) => {
        timer = setTimeout(async () => {
          const isFull = (cause as { code?: string }).code === tooManyConnections;
          const failure = await (isFull ? look() : askAnew(pool, limits.outageLookMsMax)).catch(
            (error: unknown) => error ?? new Error('away'),
          );
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
    isUnreachable: () => current?.isUnreachable ?? false,
    begin(error) {
      if (current !== undefined || isClosed) return;
      current = { since: now(), isUnreachable: !isReadable(error), over: untilBack(error) };
    },
    over: () => current?.over ?? Promise.resolve(),
    look,
    close() {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}

/** Those that are there are kept then: no new one could be made. */
const tooManyConnections = '53300';

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
