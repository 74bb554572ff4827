import type pg from 'pg';
import type { Patience } from '../database/transactions.ts';
import type { OnCommitted } from './committed.ts';
import type { IngestItem } from './ingest-rows.ts';
import type { KnownChannels } from './known-channels.ts';
import type { PartLimits } from './statement-parts.ts';

/** Until when a finalized stream takes chunks. */
export interface Grace {
  /** After its finalize. */
  seconds: number;
  /**
   * Without a grace, whoever has had the answer of finalize has seen all that the stream will ever hold. The transaction of
   * a chunk then locks its stream against a finalize at the same time.
   */
  isStrict: boolean;
  /**
   * How long ago a request came, in seconds: whether it is within the grace is judged by that, not by how long the database
   * was away since. Without a grace it is 0, since there only the answer of finalize counts.
   */
  waitedSeconds(item: IngestItem): number;
}

/** @param now milliseconds, on the clock of `arrivedAt` */
export function createGrace(seconds: number, now: () => number): Grace {
  const isStrict = seconds === 0;
  return { seconds, isStrict, waitedSeconds: ({ arrivedAt }) => (isStrict ? 0 : (now() - arrivedAt) / 1_000) };
}

/** What a flush works with. */
export interface FlushDependencies {
  /** Connections that send ahead, and see every organization. */
  pool: pg.Pool;
  patience: Patience;
  grace: Grace;
  limits: PartLimits;
  known: KnownChannels;
  /** Is told of what a transaction has stored, after its commit. */
  onCommitted: OnCommitted;
}
