import type { Access } from '../../src/database/access.ts';

/** How many rows each table has of a stream; tables without any are left out, and the log of who did what, which outlives it. */
export async function rowsOf({ pool }: Access, dataId: string): Promise<Record<string, number>> {
  const { rows: tables } = await pool.query<{ name: string }>(
    `select table_name as name from information_schema.columns
     join information_schema.tables using (table_schema, table_name)
     where table_schema = 'public' and table_type = 'BASE TABLE' and column_name = 'data_id' and table_name <> 'audit_log'`,
  );
  const counts = tables.map(async ({ name }) => {
    const { rows } = await pool.query<{ count: number }>(`select count(*) from ${name} where data_id = $1::uuid`, [
      dataId,
    ]);
    return [name, rows[0]?.count ?? 0] as const;
  });
  return Object.fromEntries((await Promise.all(counts)).filter(([, count]) => count > 0));
}
