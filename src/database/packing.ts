/**
 * When series begin to be packed. Servers of the release before read float8[] only, and may serve beside this one until then. So
 * each session of a program that knows packed series is marked, by a lock that all of them share; the first server that sees no
 * session without the mark makes the `yes` of the migration a `no`. A server of the release before that comes after that refuses to
 * serve, and one that came in between is ended by its next look (`readiness.ts`); until then the constraints of the tables keep it
 * from writing over a packed row.
 */
import type { ConnectionSource } from './access.ts';

import { serviceRole } from './roles.ts';

const migration = '0013_packed_series';

/** Shared by all sessions of programs that read packed series; no session takes it exclusively. */
const mark = 7_203_118_440_011;

/** The SQL that marks a session. */
export const markSession = `pg_try_advisory_lock_shared(${mark})`;

/** pg_locks shows a lock on a bigint as two halves. */
const isMark = `l.locktype = 'advisory' and l.database = (select oid from pg_database where datname = current_database())
  and l.classid::bigint << 32 | l.objid::bigint = ${mark} and l.objsubid = 1 and l.granted`;

/** A session that may be unable to read packed series. */
const mayNotRead = `a.datname = current_database() and a.usesysid is not null
  and pg_has_role(a.usesysid, '${serviceRole}'::name, 'member')
  and (a.application_name = 'metrology-server' or not (select rolsuper from pg_roles where oid = a.usesysid))
  and not exists (select from pg_locks l where l.pid = a.pid and ${isMark})`;

/**
 * Lets packing begin when no session is left that cannot read packed series. It ignores logins that cannot be those of
 * a server, and superusers whose session is not called metrology-server.
 * @returns whether series may be packed
 */
export async function beginPacking(pool: Pick<ConnectionSource, 'query'>): Promise<boolean> {
  const { rows } = await pool.query<{ begun: boolean }>(
    `with begun as (
       update kysely_migration set release_before_serves = false
       where name = $1::text and release_before_serves and not exists (
         select from pg_stat_activity a where ${mayNotRead}
       ) returning true
     )
     select exists (select from begun)
       or exists (select from kysely_migration where name = $1::text and not release_before_serves) as begun`,
    [migration],
  );
  return rows[0]?.begun ?? false;
}

export interface SessionBefore {
  pid: number;
  role: string;
  application: string;
}

/** Up to ten of the sessions that keep packing from beginning. */
export async function sessionsBefore(pool: Pick<ConnectionSource, 'query'>): Promise<SessionBefore[]> {
  const { rows } = await pool.query<SessionBefore>(
    `select a.pid, a.usename as role, a.application_name as application from pg_stat_activity a where ${mayNotRead} order by a.pid limit 10`,
  );
  return rows;
}
