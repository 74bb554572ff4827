import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { createSqlReader, listSqlReaders } from '../../src/auth/sql-readers.ts';
import { clusterTables } from '../../src/database/distribution.ts';
import { urlOfDatabase } from '../support/global-setup.ts';
import { nameOfDatabase, startTestServer, type TestServer } from '../support/test-server.ts';
import { fillCatalogue } from './support/catalogued.ts';

/* Policies hold on every node, whatever way a statement takes. */

let server: TestServer;
const organizations = {} as Record<'lab' | 'rival', string>;
const tables: string[] = [...clusterTables.distributed, ...clusterTables.reference];
/** The tables that the nodes store themselves and that have rows, each with the address of its node. */
let shards: Shard[];

interface Shard {
  table: string;
  shard: string;
  url: string;
}

beforeAll(async () => {
  server = await startTestServer();
  await fillCatalogue(server);
  const { rows } = await server.owner.pool.query('select name, organization_id from organizations');
  for (const { name, organization_id } of rows) organizations[name as 'lab'] = organization_id;
  shards = await shardsOf(server);
}, 300_000);
afterAll(() => server?.close());

async function shardsOf({ owner, databaseUrl }: TestServer): Promise<Shard[]> {
  const { rows } = await owner.pool.query<{ table: string; shard: string; port: number }>(
    `select table_name::text as table, shard_name as shard, nodeport as port from citus_shards
     where table_name = any ($1::regclass[])`,
    [tables],
  );
  const urls = [...inject('workerUrls'), inject('adminUrl')].map((url) =>
    urlOfDatabase(url, nameOfDatabase(databaseUrl)),
  );
  const found: Shard[] = [];
  for (const url of urls) {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    for (const { table, shard } of rows.filter(({ port }) => new URL(url).port === String(port))) {
      const { rowCount } = await client.query(`select from ${shard} limit 1`);
      if (rowCount !== 0) found.push({ table, shard, url });
    }
    await client.end();
  }
  return found;
}

/** A connection of the administrator that has taken the role of the API, as the coordinator's connections have it. */
async function asApi<Result>(url: string, work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const client = new pg.Client({ connectionString: url, options: '-c role=metrology_api' });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

const unnamed = 'unrecognized configuration parameter "metrology.organization_id"';
const setTo = (organization: string) => `set metrology.organization_id = '${organization}'`;

describe('a connection to a node itself', () => {
  test('reads no row of a shard without an organization, and only those of one that it names', async () => {
    expect(new Set(shards.map(({ url }) => url)).size).toBe(3);
    const counts = { lab: 0, rival: 0 };
    for (const url of new Set(shards.map((one) => one.url))) {
      await asApi(url, async (client) => {
        const here = shards.filter((one) => one.url === url);
        for (const { shard } of here)
          await expect(client.query(`select from ${shard}`), shard).rejects.toThrow(unnamed);
        for (const name of ['lab', 'rival'] as const) {
          await client.query(setTo(organizations[name]));
          for (const { shard, table } of here) {
            const { rows } = await client.query(`select organization_id from ${shard}`);
            const foreign = rows.filter((row) => row.organization_id !== organizations[name]);
            expect([shard, foreign]).toEqual([shard, []]);
            if (table === 'streams') counts[name] += rows.length;
          }
        }
        await client.query(setTo('00000000-0000-4000-8000-000000000009'));
        for (const { shard } of here) expect((await client.query(`select from ${shard}`)).rowCount).toBe(0);
      });
    }
    expect(counts).toEqual({ lab: 48, rival: 48 });
  }, 120_000);

  test('changes no row of another organization', async () => {
    for (const { shard, url } of shards.filter(({ table }) => ['streams', 'tags', 'stream_tags'].includes(table))) {
      await asApi(url, async (client) => {
        await client.query(`begin; ${setTo(organizations.rival)}`);
        const foreign = `organization_id = '${organizations.lab}'`;
        const deleted = client.query(`delete from ${shard} where ${foreign}`);
        expect((await deleted).rowCount, shard).toBe(0);
        const taken = client.query(`update ${shard} set organization_id = '${organizations.lab}'`);
        await taken.then(
          ({ rowCount }) => expect(rowCount).toBe(0),
          (error) => expect(error.message).toContain('row-level security'),
        );
      });
    }
  }, 120_000);
});

describe('a statement on the coordinator', () => {
  test('fails where a session has named its organization without "set local": nodes do not know it', async () => {
    await asApi(server.databaseUrl, async (client) => {
      const held = tables.filter((table) => shards.some((one) => one.table === table));
      expect(held).toHaveLength(10);
      for (const table of held) await expect(client.query(`select * from ${table}`), table).rejects.toThrow(unnamed);
      await client.query(setTo(organizations.lab));
      for (const table of clusterTables.distributed.filter((name) => held.includes(name)))
        await expect(client.query(`select * from ${table}`), table).rejects.toThrow(unnamed);
    });
  });

  test('finds nothing of another organization through the functions of Citus either', async () => {
    await asApi(server.databaseUrl, async (client) => {
      const asked = `select success, result from run_command_on_shards('streams', 'select count(*) from %s')`;
      const rows = await client.query(asked).then(
        (answer) => answer.rows,
        (error: pg.DatabaseError) => [{ success: false, result: error.message }],
      );
      expect(rows.length).toBeGreaterThan(0);
      expect(rows.filter(({ success }) => success)).toEqual([]);
    });
  });

  test('leaves no organization behind in the connections between nodes', async () => {
    const names = ['lab', 'rival'] as const;
    const look = async (name: 'lab' | 'rival') => {
      const { pool } = server.database.as(organizations[name]);
      const { rows } = await pool.query('select organization_id, count(*) as count from streams group by 1');
      expect(rows).toEqual([{ organization_id: organizations[name], count: 48 }]);
    };
    await Promise.all(Array.from({ length: 120 }, (_, i) => look(names[(i * 7 + (i >> 3)) % 2] as 'lab')));
  }, 60_000);
});

test('the roles that nodes admit have no password, own nothing and are above no policy', async () => {
  for (const url of new Set(shards.map((one) => one.url))) {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const { rows } = await client.query(
      `select rolname, rolcanlogin, rolpassword, rolsuper or rolbypassrls or rolcreaterole or rolcreatedb as mighty,
              exists (select from pg_class where relowner = pg_authid.oid) as owns
       from pg_authid where rolname in ('metrology_api', 'metrology_service') order by 1`,
    );
    await client.end();
    const plain = { rolcanlogin: true, rolpassword: null, mighty: false, owns: false };
    expect(rows).toEqual(['metrology_api', 'metrology_service'].map((rolname) => ({ rolname, ...plain })));
  }
});

test('SQL readers are refused with a sentence', async () => {
  await expect(createSqlReader(server.owner, server.databaseUrl, 'lab')).rejects.toThrow('serves no SQL readers');
  expect(await listSqlReaders(server.owner)).toEqual([]);
});
