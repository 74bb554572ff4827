import type { Database } from '../database/database.ts';
import { type StreamLimits, streamLimits } from './limits.ts';
import { deleteOldRevisions } from './revision-store.ts';

/**
 * Removes what was replaced more than `keepDays` ago, now and every `revisionSweepMs`, in pieces that hold up nobody.
 * Several servers may do so on one database. What fails is reported and tried again the next time.
 * @returns how to stop, which resolves when the piece under way is done; `catchUp` removes now what is due
 */
export function forgetOldRevisions(
  database: Database,
  keepDays: number,
  report: (error: Error) => void,
  given?: Partial<StreamLimits>,
): (() => Promise<void>) & { catchUp(): void } {
  const { revisionSweepMs, revisionSweepRowsMax: rowsMax } = { ...streamLimits, ...given };
  let stopped = false;
  let sweeping = Promise.resolve();
  const sweep = async () => {
    while (!stopped && (await deleteOldRevisions(database, keepDays, rowsMax)) === rowsMax);
  };
  const begin = () => {
    sweeping = sweeping.then(sweep).catch(report);
  };
  const timer = setInterval(begin, revisionSweepMs);
  timer.unref();
  begin();
  const stop = () => {
    stopped = true;
    clearInterval(timer);
    return sweeping;
  };
  return Object.assign(stop, { catchUp: begin });
}
