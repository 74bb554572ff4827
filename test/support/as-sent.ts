import type { Access } from '../../src/database/access.ts';
import { timesColumns, timestampsOfChunk, valuesColumns, valuesOfChunk } from '../../src/database/stored-series.ts';

/**
 * Stores what is packed as releases of before did: as the float8[] that were sent. So a test can change single readings, and rows of
 * before are read too.
 */
export async function storeAsSent({ pool }: Access): Promise<void> {
  const packed = [...timesColumns, ...valuesColumns].filter((column) => !/^"?(timestamps|values)"?$/.test(column));
  for (const table of ['chunks', 'chunk_revisions']) {
    await pool.query(
      `update ${table} k set timestamps = ${timestampsOfChunk('k')}, "values" = ${valuesOfChunk('k')},
         ${packed.map((column) => `${column} = null`).join(', ')}`,
    );
  }
}
