import { limits } from '../config.ts';
import type { Database } from '../database/database.ts';
import { deleteOldRevisions } from './revision-store.ts';

/**
 * Removes what was replaced more than `keepDays` ago, now and every `revisionSweepMs`, in pieces that hold up nobody.
 * Several servers may do so on one database. What fails is reported and tried again the next time.
 * @returns how to stop; it resolves when the piece under way is done
 */
export function forgetOldRevisions(
  database: Database,
  keepDays: number,
  report: (error: Error) => void,
): () => Promise<void> {
  let stopped = false;
  let sweeping = Promise.resolve();
  const sweep = async () => {
    const rowsMax = limits.revisionSweepRowsMax;
    while (!stopped && (await deleteOldRevisions(database, keepDays, rowsMax)) === rowsMax);
  };
  const begin = () => {
    sweeping = sweeping.then(sweep).catch(report);
  };
  const timer = setInterval(begin, limits.revisionSweepMs);
  timer.unref();
  begin();
  return () => {
    stopped = true;
    clearInterval(timer);
    return sweeping;
  };
}
