import type { ConnectionSource } from '../database/access.ts';

/* Facts that PostgreSQL reports about itself, one statement for each. */

async function rowsOf<Row extends object>(
  pool: ConnectionSource,
  statement: string,
  values: unknown[] = [],
): Promise<Row[]> {
  return (await pool.query<Row>(statement, values)).rows;
}

async function rowOf<Row extends object>(
  pool: ConnectionSource,
  statement: string,
  values: unknown[] = [],
): Promise<Row> {
  return (await rowsOf<Row>(pool, statement, values))[0] as Row;
}

export const readPostgresVersion = (pool: ConnectionSource) =>
  rowOf<{ version: string; major: number }>(
    pool,
    `select current_setting('server_version') as version, current_setting('server_version_num')::integer / 10000 as major`,
  );

export const readDurability = (pool: ConnectionSource) =>
  rowsOf<{ name: string; setting: string }>(
    pool,
    `select name, setting from pg_settings where name in ('fsync', 'full_page_writes', 'synchronous_commit') order by name`,
  );

/** How a standby settles that a query needs what the replay is about to remove. */
export const readReplay = (standby: Pick<ConnectionSource, 'query'>) =>
  rowOf<{ feedback: boolean; delay: string }>(
    standby as ConnectionSource,
    `select current_setting('hot_standby_feedback')::boolean as feedback,
       current_setting('max_standby_streaming_delay') as delay`,
  );

export const readLogin = (pool: ConnectionSource) =>
  rowOf<{ role: string; isSuperuser: boolean; seesAll: boolean; isOwner: boolean }>(
    pool,
    `select session_user as role, rolsuper as "isSuperuser", rolbypassrls as "seesAll",
       exists (select from pg_class where oid = to_regclass('chunks') and relowner = r.oid) as "isOwner"
     from pg_roles r where rolname = session_user`,
  );

/** In milliseconds of Unix time. */
export const readClockMs = (pool: ConnectionSource) =>
  rowOf<{ ms: number }>(pool, `select extract(epoch from clock_timestamp())::float8 * 1000 as ms`);

export const readInvalidIndexes = (pool: ConnectionSource) =>
  rowsOf<{ name: string }>(
    pool,
    `select i.indexrelid::regclass::text as name from pg_index i join pg_class c on c.oid = i.indrelid
     where not i.indisvalid and c.relnamespace = current_schema()::regnamespace order by 1`,
  );

export const readStaleTables = (pool: ConnectionSource, rowsMin: number, changedMax: number) =>
  rowOf<{ autovacuum: boolean; tables: string[] | null }>(
    pool,
    `select current_setting('autovacuum')::boolean and current_setting('track_counts')::boolean as autovacuum,
       (select array_agg(relname::text order by relname) from pg_stat_user_tables
        where schemaname = current_schema() and n_live_tup >= $1::float8
          and (coalesce(last_analyze, last_autoanalyze) is null or n_mod_since_analyze > n_live_tup * $2::float8)) as tables`,
    [rowsMin, changedMax],
  );

export const readConnections = (pool: ConnectionSource) =>
  rowOf<{ most: number; used: number }>(
    pool,
    `select current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
         - coalesce(nullif(current_setting('reserved_connections', true), ''), '0')::integer as most,
       (select count(*)::integer from pg_stat_activity where backend_type = 'client backend') as used`,
  );

export const readLongTransactions = (pool: ConnectionSource, secondsMax: number) =>
  rowsOf<{ what: string; seconds: number }>(
    pool,
    `select format('process %s of %s (%s)', pid, usename, coalesce(nullif(application_name, ''), 'no name')) as what,
       extract(epoch from clock_timestamp() - xact_start)::float8 as seconds
     from pg_stat_activity
     where backend_type = 'client backend' and xact_start < clock_timestamp() - make_interval(secs => $1::float8)
     union all
     select format('prepared transaction %s of %s', gid, owner), extract(epoch from clock_timestamp() - prepared)::float8
     from pg_prepared_xacts where prepared < clock_timestamp() - make_interval(secs => $1::float8)
     order by seconds desc`,
    [secondsMax],
  );

/** What keeps the write-ahead log from being removed. */
export const readLogKeepers = (pool: ConnectionSource) =>
  rowOf<{ slots: string[] | null; archiveFails: boolean }>(
    pool,
    `select (select array_agg(slot_name::text order by slot_name) from pg_replication_slots where not active) as slots,
       exists (select from pg_stat_archiver
               where current_setting('archive_mode') <> 'off' and last_failed_time is not null
                 and (last_archived_time is null or last_failed_time > last_archived_time)) as "archiveFails"`,
  );

/** The size of the database, and the share of its points that belongs to streams opened in the last days. */
export const readGrowth = (pool: ConnectionSource, days: number) =>
  rowOf<{ bytes: number; share: number }>(
    pool,
    `select pg_database_size(current_database())::float8 as bytes,
       (select coalesce(sum(c.point_count) filter (where s.created_at > clock_timestamp() - make_interval(days => $1::integer)), 0)
          / greatest(coalesce(sum(c.point_count), 0), 1)
        from channels c join streams s using (data_id))::float8 as share`,
    [days],
  );

export const readEndingKeys = (pool: ConnectionSource, days: number) =>
  rowsOf<{ key_id: number; expires_at: string }>(
    pool,
    `select key_id, expires_at from api_keys
     where revoked_at is null and expires_at between now() and now() + make_interval(days => $1::integer)
       and not exists (select from api_keys n where n.replaces_key_id = api_keys.key_id and n.revoked_at is null)
     order by expires_at`,
    [days],
  );
