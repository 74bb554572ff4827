import pg from 'pg';
import { createSqlReader, dropSqlReader, type SqlReader } from '../../../src/auth/sql-readers.ts';
import type { TestServer } from '../../support/test-server.ts';

export interface Reader extends SqlReader {
  client: pg.Client;
  query(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
}

/** Readers of the organizations of a test server, connected. Close them before the server. */
export async function openReaders<Name extends string>(server: TestServer, organizations: readonly Name[]) {
  const readers = {} as Record<Name, Reader>;
  for (const organization of organizations) {
    const reader = await createSqlReader(server.owner, server.databaseUrl, organization);
    const client = new pg.Client({ connectionString: reader.url });
    await client.connect();
    readers[organization] = {
      ...reader,
      client,
      query: async (text, values) => (await client.query(text, values)).rows,
    };
  }
  const close = async () => {
    for (const { client, role } of Object.values<Reader>(readers)) {
      await client.end();
      // Roles outlive their database.
      await dropSqlReader(server.owner, role).catch(() => {});
    }
  };
  return { readers, close };
}
