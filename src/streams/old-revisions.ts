import type { Database } from '../database/database.ts';
import { type Sweeping, sweepFromTimeToTime } from '../lib/sweeping.ts';
import { type StreamLimits, streamLimits } from './limits.ts';
import { deleteOldRevisions } from './revision-store.ts';

/** Removes revisions that were replaced more than `keepDays` ago, now and every `revisionSweepMs`. */
export function forgetOldRevisions(
  database: Database,
  keepDays: number,
  report: (error: Error) => void,
  given?: Partial<StreamLimits>,
): Sweeping {
  const { revisionSweepMs, revisionSweepRowsMax: rowsMax } = { ...streamLimits, ...given };
  const piece = async () => (await deleteOldRevisions(database, keepDays, rowsMax)) === rowsMax;
  return sweepFromTimeToTime(piece, revisionSweepMs, report);
}
