import type { Access } from '../../src/database/access.ts';
import { timesColumns, timestampsOfChunk, valuesColumns, valuesOfChunk } from '../../src/database/stored-series.ts';
import { inTransaction } from '../../src/database/transactions.ts';

/**
 * Stores what is packed as releases of before did: as the float8[] that were sent. So a test can change single readings, and rows of
 * before are read too. On one PostgreSQL it locks channels as writers do, so it may run beside them.
 */
export async function storeAsSent(
  { pool }: Pick<Access, 'pool'>,
  tables: readonly ('chunks' | 'chunk_revisions')[] = ['chunks', 'chunk_revisions'],
): Promise<void> {
  const packed = [...timesColumns, ...valuesColumns].filter((column) => !/^"?(timestamps|values)"?$/.test(column));
  const { rows: streams } = await pool.query<{ id: string }>('select data_id as id from streams order by 1');
  await inTransaction(pool, async (client) => {
    // Stream by stream, since a cluster locks rows on one node at a time.
    for (const { id } of streams) {
      await client.query('select from channels where data_id = $1::uuid order by channel_id for no key update', [id]);
      for (const table of tables) {
        await client.query(
          `update ${table} k set timestamps = ${timestampsOfChunk('k')}, "values" = ${valuesOfChunk('k')},
             ${packed.map((column) => `${column} = null`).join(', ')}
           where k.data_id = $1::uuid`,
          [id],
        );
      }
    }
  });
}
