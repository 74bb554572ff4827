import { sql } from 'kysely';
import type { Database } from './database.ts';

/** An acknowledged chunk survives a crash only when a commit waits for the disk and a torn page can be mended. */
export async function durabilityProblem(database: Database): Promise<string | undefined> {
  const { rows } = await sql<{ name: string }>`
    select name from pg_settings
    where name in ('synchronous_commit', 'fsync', 'full_page_writes') and setting = 'off'
    order by name`.execute(database.service.kysely);
  if (rows.length === 0) return undefined;
  const names = rows.map((row) => row.name).join(', ');
  return `The database may lose what it has committed: ${names} must not be off.`;
}
