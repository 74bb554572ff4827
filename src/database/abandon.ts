import type pg from 'pg';
import { askToCancel, cut } from './driver.ts';

/**
 * Ends what a connection runs for somebody who has gone, as soon as the signal is aborted: unless that is over within
 * `graceMs`, PostgreSQL is asked to cancel it, and the connection is cut. It is of no more use then, since a request to
 * cancel that comes late would meet the next statement.
 * @returns what tells that the connection has been given back
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
