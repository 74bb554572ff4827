import type { Metrics } from '../http/metrics.ts';
import type { Schedule } from './schedule.ts';

/** Shows in `/metrics` how old the newest scheduled backup is, and how often one failed. */
export function watchBackups(
  metrics: Pick<Metrics, 'watch' | 'watchCounter'>,
  { ageSeconds, failureCount }: Pick<Schedule, 'ageSeconds' | 'failureCount'>,
): void {
  const age = 'Age of the newest backup in BACKUP_DIR; counted from 1970 where there is none';
  // The other processes notice a backup that one process has just made a little later.
  metrics.watch('metrology_backup_age_seconds', age, ageSeconds, 'min');
  metrics.watchCounter('metrology_backup_failures_total', 'Scheduled backups that failed', failureCount);
}
