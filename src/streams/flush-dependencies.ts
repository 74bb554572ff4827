import type pg from 'pg';
import type { Patience } from '../database/transactions.ts';
import type { OnCommitted } from './committed.ts';
import type { IngestItem } from './ingest-rows.ts';
import type { KnownChannels } from './known-channels.ts';
import type { Form } from './statement-forms.ts';
import type { PartLimits } from './statement-parts.ts';

/** Until when a finalized stream takes chunks. */
export interface Grace {
  /** Seconds after its finalize. */
  seconds: number;
  /**
   * True without a grace. Then the stream must not change any more once finalize has been answered. So the transaction
   * of a chunk locks its stream against a finalize at the same time.
   */
  isStrict: boolean;
  /**
   * How long ago a request came, in seconds. The grace is checked for that moment, so that waiting for the database
   * does not count. Without a grace it is 0, since then only the answer of finalize counts.
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
  /** Connections that pipeline statements, and see every organization. */
  pool: pg.Pool;
  patience: Patience;
  grace: Grace;
  limits: PartLimits;
  /** In a cluster a flush writes stream by stream. */
  form: Form;
  known: KnownChannels;
  /** Called with what a transaction has stored, after its commit. */
  onCommitted: OnCommitted;
}
