/**
 * Which sessions hold a lock that another one waits for, for the log. It shows who they are and since when, not what
 * they run.
 */
import type { ConnectionSource } from './access.ts';

export interface LockHolder {
  pid: number;
  role: string;
  application: string;
  /** When its transaction began; null where this role may not see that. */
  since: string | null;
}

const columns = `a.pid, a.usename as role, a.application_name as application, a.xact_start as since`;

/** The sessions that keep the session `pid` waiting. */
export async function holdersBefore(pool: Pick<ConnectionSource, 'query'>, pid: number): Promise<LockHolder[]> {
  const { rows } = await pool.query<LockHolder>(
    `select ${columns} from pg_stat_activity a where a.pid = any(pg_blocking_pids($1::integer)) order by a.pid`,
    [pid],
  );
  return rows;
}

/** The sessions that hold an advisory lock of this database. */
export async function holdersOfAdvisoryLock(
  pool: Pick<ConnectionSource, 'query'>,
  lockId: string,
): Promise<LockHolder[]> {
  const { rows } = await pool.query<LockHolder>(
    `select ${columns}
     from pg_locks l join pg_stat_activity a on a.pid = l.pid
     where l.locktype = 'advisory' and l.granted and l.objsubid = 1
       and l.database = (select oid from pg_database where datname = current_database())
       and (l.classid::bigint << 32 | l.objid::bigint) = $1::bigint
     order by a.pid`,
    [lockId],
  );
  return rows;
}
