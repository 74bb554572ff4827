import type pg from 'pg';
import { askToCancel, cut } from './driver.ts';

/**
 * Ends what a connection runs when its client has gone, that is when the signal is aborted. Unless that ends within
 * `graceMs`, PostgreSQL is asked to cancel it, and the connection is cut. The connection cannot be reused, since a late
 * cancel request would hit its next statement.
 * @returns a function to call when the connection has been given back
 */
export function abandonOn(signal: AbortSignal, client: pg.PoolClient, graceMs: number): () => void {
  let timer: NodeJS.Timeout | undefined;
  const onAbort = () => {
    timer = setTimeout(() => {
      askToCancel(client);
      cut(client, signal.reason);
    }, graceMs);
  };
  signal.addEventListener('abort', onAbort);
  return () => {
    signal.removeEventListener('abort', onAbort);
    clearTimeout(timer);
  };
}
