import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chunkColumns, columnNames, keptColumns, replacedColumns } from '../../src/streams/chunk-columns.ts';
import { onCluster } from '../support/on-cluster.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { chunkBody, openStream } from './support/chunks.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.close());

/** The columns of a table as the migrations have made them: name to type, and whether a row has to bring a value. */
async function columnsOf(table: string): Promise<Map<string, { type: string; isAsked: boolean }>> {
  const { rows } = await server.owner.pool.query<{ name: string; type: string; isAsked: boolean }>(
    `select attname as name, format_type(atttypid, null) as type, attnotnull and not atthasdef as "isAsked"
     from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped and attidentity = ''`,
    [table],
  );
  return new Map(rows.map(({ name, ...column }) => [name, column]));
}

const bare = (name: string) => name.replaceAll('"', '');
const typeNames: Record<string, string> = {
  float8: 'double precision',
  'float8[]': 'double precision[]',
  hash: 'bytea',
};

describe('the table of columns', () => {
  test('has the columns of chunks with their types, and all that a row has to bring', async () => {
    const columns = await columnsOf('chunks');
    for (const { name, type } of chunkColumns) {
      expect(columns.get(bare(name))?.type, name).toBe(typeNames[type] ?? type);
    }
    const asked = [...columns].filter(([, { isAsked }]) => isAsked).map(([name]) => name);
    const given = chunkColumns.map(({ name }) => bare(name));
    expect(given).toEqual(expect.arrayContaining(asked));
    // What PostgreSQL fills in by itself.
    expect([...columns.keys()].filter((name) => !given.includes(name)).sort()).toEqual([
      'changed_at',
      'replaced_count',
      'stored_at',
    ]);
  });

  test('has of each column whether a revision keeps it', async () => {
    const columns = await columnsOf('chunk_revisions');
    const kept = keptColumns.split(', ').map(bare);
    const own = ['revision', 'replaced_by_key_id', 'replaced_at', 'stored_at', 'replacing_hash'];
    expect([...kept, ...own].sort()).toEqual([...columns.keys()].sort());
  });

  test('says once what is inserted and what a replacement sets: all but the address', () => {
    const keys = chunkColumns.filter(({ isKey }) => isKey).map(({ name }) => name);
    expect(keys).toEqual(['data_id', 'channel_id', 'chunk_index']);
    const set = replacedColumns.split(', ').map((one) => one.split(' = ')[0]);
    expect([...keys, ...set]).toEqual(columnNames.split(', '));
  });
});

// A cluster gathers them of its shards, on their nodes; test/citus/distribute.suite.ts compares their options.
test.skipIf(onCluster)(
  'PostgreSQL gathers statistics of what chunks are found by, and of none of their readings',
  async () => {
    const dataId = await openStream(server);
    await server.post('/tool-state/stream/chunk', chunkBody(dataId, 0, 't', [1, 2.5, 1e300]));
    await server.owner.pool.query('analyze chunks');
    const { rows } = await server.owner.pool.query<{ name: string }>(
      `select attname as name from pg_stats where tablename = 'chunks' and schemaname = current_schema()`,
    );
    const known = rows.map(({ name }) => name);
    expect(known).toEqual(expect.arrayContaining(['data_id', 'channel_id', 'chunk_index', 'time_min', 'time_max']));
    const found = ['time_min', 'time_max'];
    const readings = chunkColumns.map(({ name }) => bare(name)).filter((name) => /^(time|value)/.test(name));
    expect(readings).toEqual(
      expect.arrayContaining([...found, 'timestamps', 'values', 'time_residuals', 'value_step']),
    );
    expect(known.filter((name) => readings.includes(name)).sort()).toEqual(found.sort());
  },
);
