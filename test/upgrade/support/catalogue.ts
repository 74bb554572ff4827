import type { ConnectionSource } from '../../../src/database/access.ts';

/**
 * All that the catalogues of PostgreSQL say of the schema of a database, one line each, in order: columns, defaults,
 * constraints, indexes, options, policies, rights, views, functions, sequences.
 */
export async function catalogueOf(pool: ConnectionSource): Promise<string[]> {
  const { rows } = await pool.query<{ line: string }>(catalogueSql);
  return rows.map(({ line }) => line);
}

const catalogueSql = `
  with own as (select * from pg_class where relnamespace = 'public'::regnamespace)
  select line from (
    select format('relation %s %s owner=%s options=%s rls=%s/%s acl=%s', relkind, relname, pg_get_userbyid(relowner), reloptions,
                  relrowsecurity, relforcerowsecurity, relacl) as line
    from own
    union all
    select format('column %s.%s %s %s notnull=%s identity=%s storage=%s default=%s collation=%s acl=%s', relname,
                  (select count(*) from pg_attribute b
                   where b.attrelid = a.attrelid and b.attnum > 0 and b.attnum <= a.attnum and not b.attisdropped),
                  attname, format_type(atttypid, atttypmod), attnotnull, attidentity, attstorage,
                  pg_get_expr(adbin, adrelid), attcollation::regcollation, attacl)
    from own join pg_attribute a on attrelid = own.oid and attnum > 0 and not attisdropped
    left join pg_attrdef on adrelid = attrelid and adnum = attnum where relkind <> 'i'
    union all
    select format('constraint %s on %s: %s', conname, conrelid::regclass, pg_get_constraintdef(c.oid))
    from pg_constraint c where connamespace = 'public'::regnamespace
    union all
    select format('index %s valid=%s', pg_get_indexdef(indexrelid), indisvalid) from pg_index join own on own.oid = indrelid
    union all
    select format('policy %s on %s %s to %s using %s check %s', polname, polrelid::regclass, polcmd,
                  (select array_agg(pg_get_userbyid(role)) from unnest(polroles) as role),
                  pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
    from pg_policy
    union all
    select format('view %s: %s', relname, pg_get_viewdef(oid)) from own where relkind in ('v', 'm')
    union all
    select format('function acl=%s %s', proacl, pg_get_functiondef(p.oid)) from pg_proc p
    where pronamespace = 'public'::regnamespace
    union all
    select format('trigger %s', pg_get_triggerdef(t.oid)) from pg_trigger t where not tgisinternal
    union all
    select format('sequence %s %s', sequencename, data_type) from pg_sequences where schemaname = 'public'
    union all
    select format('schema acl=%s', nspacl) from pg_namespace where nspname = 'public'
    union all
    select format('comment %s %s', classoid::regclass, description) from pg_description join own on own.oid = objoid
    union all
    select format('migration %s %s', name, row ->> 'checksum')
    from kysely_migration as ran cross join lateral to_jsonb(ran) as row
  ) as lines order by line collate "C"`;
