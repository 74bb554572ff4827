/** How far the log of the primary has been flushed. Whatever was acknowledged before the question stands in that log. */
import type pg from 'pg';
import { askWithin } from './transactions.ts';

export interface Position {
  /** The end of the flushed log, as PostgreSQL writes it: `0/3000060`. */
  lsn: string;
  /** The timeline of that log. It changes when a standby is promoted. */
  timeline: number;
  /** The database, as `readIdentity` says it. */
  identity: string;
}

export interface PrimaryPosition {
  /**
   * Asks the primary. One question answers all callers that have come since the question before was sent; a caller never
   * gets the answer to a question that was sent before it came.
   * @throws when the primary is away or is a standby, or does not answer in time
   */
  ask(): Promise<Position>;
}

export function createPrimaryPosition(pool: Pick<pg.Pool, 'connect'>, msMax: number): PrimaryPosition {
  let underWay: Promise<unknown> = Promise.resolve();
  let next: Promise<Position> | undefined;

  function send(): Promise<Position> {
    // Whoever comes from now on needs the question after this one.
    next = undefined;
    const asked = askNow(pool, msMax);
    underWay = asked.catch(() => {});
    return asked;
  }

  return {
    ask() {
      next ??= underWay.then(send);
      return next;
    },
  };
}

async function askNow(pool: Pick<pg.Pool, 'connect'>, msMax: number): Promise<Position> {
  const { rows } = await askWithin<{ lsn: string; file: string; identity: string }>(
    pool,
    {
      name: 'ask_position',
      text: `select lsn::text, pg_walfile_name(lsn) as file,
               (select system_identifier from pg_control_system()) || ' ' ||
               (select oid from pg_database where datname = current_database()) as identity
             from pg_current_wal_flush_lsn() as lsn`,
    },
    msMax,
  );
  const { lsn, file, identity } = rows[0] as { lsn: string; file: string; identity: string };
  // The name of a file of the log begins with its timeline, in hexadecimal digits.
  return { lsn, timeline: Number.parseInt(file.slice(0, 8), 16), identity };
}
