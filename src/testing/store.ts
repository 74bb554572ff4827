import type { OwnerDatabase } from '../database/database.ts';
import { ownTables } from './shadows.ts';

/** Empties all tables of the server and restarts generated ids. */
export async function emptyDatabase({ pool }: OwnerDatabase): Promise<void> {
  const { rows } = await pool.query<{ names: string }>(
    `select string_agg(quote_ident(relname), ', ') as names from pg_class
     where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
       and relname <> all ($1::name[]) and not starts_with(relname, 'kysely_')`,
    [ownTables],
  );
  // One message is one transaction. It cannot take parameters.
  await pool.query(`truncate ${rows[0]?.names} restart identity cascade; alter sequence public.test_ids restart`);
}

/** From now on generated ids follow `seed`, and the clock shows the true time. */
export async function seedDatabase({ pool }: OwnerDatabase, seed: string): Promise<void> {
  await pool.query(`update public.test_state set moved_by = '0', seed = $1::text`, [seed]);
}

/**
 * Moves the time of `now()` and similar functions, in statements, functions and column defaults, from the next statement
 * on.
 */
export async function moveDatabaseClock({ pool }: OwnerDatabase, offsetMs: number): Promise<void> {
  await pool.query('update public.test_state set moved_by = make_interval(secs => $1::float8)', [offsetMs / 1_000]);
}
