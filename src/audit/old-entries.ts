import type { Database } from '../database/database.ts';
import { type Sweeping, sweepFromTimeToTime } from '../lib/sweeping.ts';
import { type AuditLimits, auditLimits } from './limits.ts';
import { removeOldEntries } from './store.ts';

/** Removes entries of the audit log that are older than `keepDays`, at once and then every `entrySweepMs`. */
export function forgetOldEntries(
  database: Database,
  keepDays: number,
  report: (error: Error) => void,
  given?: Partial<AuditLimits>,
): Sweeping {
  const { entrySweepMs, entrySweepRowsMax: rowsMax } = { ...auditLimits, ...given };
  const piece = async () => (await removeOldEntries(database, keepDays, rowsMax)) === rowsMax;
  return sweepFromTimeToTime(piece, entrySweepMs, report);
}
