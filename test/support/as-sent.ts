import type { Access } from '../../src/database/access.ts';
import { timesColumns, timestampsOfChunk, valuesColumns, valuesOfChunk } from '../../src/database/stored-series.ts';
import { inTransaction } from '../../src/database/transactions.ts';
import { onCluster } from './on-cluster.ts';

/**
 * Stores what is packed as releases of before did: as the float8[] that were sent. So a test can change single readings, and rows of
 * before are read too. On one PostgreSQL it locks channels as writers do, so it may run beside them.
 */
export async function storeAsSent(
  { pool }: Pick<Access, 'pool'>,
  tables: readonly ('chunks' | 'chunk_revisions')[] = ['chunks', 'chunk_revisions'],
): Promise<void> {
  const packed = [...timesColumns, ...valuesColumns].filter((column) => !/^"?(timestamps|values)"?$/.test(column));
  await inTransaction(pool, async (client) => {
    // A cluster locks rows of one stream at a time only.
    if (!onCluster) await client.query('select from channels order by channel_id for no key update');
    for (const table of tables) {
      await client.query(
        `update ${table} k set timestamps = ${timestampsOfChunk('k')}, "values" = ${valuesOfChunk('k')},
           ${packed.map((column) => `${column} = null`).join(', ')}`,
      );
    }
  });
}
