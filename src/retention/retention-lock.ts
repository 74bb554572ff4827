import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../database/database.ts';
import { type RetentionLimits, retentionLimits } from './limits.ts';
import { giveLockBack, takeLock } from './run-store.ts';

/** Another process is archiving, removing or restoring runs of this database. */
export class RetentionBusy extends Error {}

/**
 * Runs work that only one process may do at a time in a database, under a lock. PostgreSQL releases the lock when this
 * process or its connection ends.
 * @param work is given a signal that is aborted when the lock is lost
 * @throws RetentionBusy when another process holds the lock
 */
export async function alone<Result>(
  database: Database,
  work: (signal: AbortSignal) => Promise<Result>,
  { lockMsMax, lockPauseMs }: Pick<RetentionLimits, 'lockMsMax' | 'lockPauseMs'> = retentionLimits,
): Promise<Result> {
  const lost = new AbortController();
  const client = await database.everyOrganization.upkeep.pool.connect();
  const lose = (error: Error) => lost.abort(new Error(`the connection that holds the lock is lost: ${error.message}`));
  client.on('error', lose);
  let failure: Error | undefined;
  try {
    const startedAt = performance.now();
    while (!(await takeLock(client))) {
      if (performance.now() - startedAt >= lockMsMax) {
        throw new RetentionBusy(
          `another process archives or restores runs of this database (waited ${lockMsMax} ms, lockMsMax)`,
        );
      }
      await sleep(lockPauseMs);
    }
    return await work(lost.signal);
  } catch (error) {
    if (!(error instanceof RetentionBusy)) failure = error as Error;
    throw error;
  } finally {
    client.off('error', lose);
    // After an error the connection is closed, which releases the lock too.
    if (failure === undefined) await giveLockBack(client).catch(() => {});
    client.release(failure);
  }
}
