import pg from 'pg';
import { inject } from 'vitest';
import type { ConnectionSource } from '../../../src/database/access.ts';
import { urlOfDatabase } from '../../support/global-setup.ts';

/** How a table and its indexes are stored, besides their rows. */
const traits = (name: string) => `
  select ${name} as name, concat_ws(' | ', c.reloptions, 'walls ' || c.relrowsecurity || ' ' || c.relforcerowsecurity,
    (select string_agg(concat_ws(' ', attname, attstorage, attstattarget, attnotnull), ', ' order by attnum) from pg_attribute
     where attrelid = c.oid and attnum > 0 and not attisdropped),
    (select string_agg(concat_ws(' ', i.indisunique, i.indisprimary, x.reloptions, pg_get_indexdef(i.indexrelid, k, true)), ', '
       order by regexp_replace(x.relname, '_\\d{6,}$', ''), k)
     from pg_index i join pg_class x on x.oid = i.indexrelid cross join generate_series(1, i.indnatts) as k where i.indrelid = c.oid)
  ) as traits
  from pg_class c where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace`;

/** By the names of the tables. */
export async function traitsOf(pool: Pick<ConnectionSource, 'query'>): Promise<Record<string, string>> {
  const { rows } = await pool.query<{ name: string; traits: string }>(traits('c.relname::text'));
  return Object.fromEntries(rows.map((row) => [row.name, row.traits]));
}

/** Of every shard on every worker, by the names of their tables. */
export async function traitsOfShards(databaseUrl: string): Promise<Record<string, string[]>> {
  const found: Record<string, string[]> = {};
  for (const workerUrl of inject('workerUrls')) {
    const client = new pg.Client({
      connectionString: urlOfDatabase(workerUrl, new URL(databaseUrl).pathname.slice(1)),
    });
    await client.connect();
    await client.query('set citus.override_table_visibility = off');
    const { rows } = await client.query<{ name: string; traits: string }>(
      `${traits(`substring(c.relname from '^(.*)_\\d{6,}$')`)} and c.relname ~ '_\\d{6,}$'`,
    );
    await client.end();
    for (const row of rows) found[row.name] = [...(found[row.name] ?? []), row.traits];
  }
  return found;
}
