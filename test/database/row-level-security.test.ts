import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLink } from '../../src/auth/sessions.ts';
import { findIdentity } from '../../src/auth/store.ts';
import type { Access } from '../../src/database/access.ts';
import { inTransaction } from '../../src/database/transactions.ts';
import { lockChannels } from '../../src/streams/channel-store.ts';
import { chunkBody, openStream } from '../streams/support/chunks.ts';
import { onCluster } from '../support/on-cluster.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

const chunkUrl = '/tool-state/stream/chunk';

let server: TestServer;
const organizations = {} as Record<'lab' | 'rival', string>;
/** All tables but those of the migrations. */
let tables: string[];

beforeAll(async () => {
  server = await startTestServer();
  const { rows } = await server.owner.pool.query('select name, organization_id from organizations');
  for (const { name, organization_id } of rows) organizations[name as 'lab'] = organization_id;
  tables = (
    await server.owner.pool.query(`select relname from pg_class
      where relkind = 'r' and relnamespace = 'public'::regnamespace and relname not like 'kysely%' order by 1`)
  ).rows.map((row) => row.relname);
  for (const who of ['ada', 'rival'] as const) await makeOneOfEach(server.keys[who]);
  for (const who of ['ada', 'rival'] as const) {
    expect((await server.post('/session', { api_key: server.keys[who] }, null)).status).toBe(200);
    await createLink(server.database, (await findIdentity(server.database, server.keys[who]))?.keyId as number);
  }
  // An overview needs 64 chunks.
  await server.owner.pool.query(
    `insert into overviews select data_id, channel_id, 1, 0, organization_id, 0, 0, 0, 0, 0, '', '' from channels`,
  );
  for (const id of Object.values(organizations)) {
    await server.owner.pool.query('insert into sql_readers (role_name, organization_id) values ($1, $2)', [
      `r${id}`,
      id,
    ]);
  }
});
afterAll(() => server?.close());

/** A row of every table that the API fills. */
async function makeOneOfEach(key: string): Promise<void> {
  const post = async (url: string, body: object) => {
    const { status, json, text } = await server.post(url, body, key);
    expect(status, `${url}: ${text}`).toBeLessThan(300);
    return json;
  };
  await post('/instruments/synthesis', { label: 'MBE', type: 'mbe' });
  const { id: sample } = await post('/physical_samples/', { name: 'wafer' });
  const { id: project } = await post('/projects/', { name: 'GaN' });
  const { id: tag } = await post('/tags/', { name: 'growth' });
  const links = { physical_sample_id: sample, project_id: project };
  const { data_id } = await post('/tool-state/stream/initialize', {
    points_per_chunk: 2,
    stream_name: 'run',
    ...links,
  });
  for (const values of [[1], [2]]) await post(chunkUrl, chunkBody(data_id, 0, 't', values));
  await post('/tags/data-items/', { data_ids: [data_id], tag_ids: [tag] });
}

const apiMayRead = (table: string) => !['organizations', 'sql_readers', 'sessions', 'sign_in_links'].includes(table);
const columnsOf = (table: string) => (table === 'api_keys' ? 'organization_id, key_hint' : '*');

/** The statement fails, or none of its rows is of another organization than the one given; how many there are. */
async function rowsSeen({ pool }: Access, table: string, organizationId: string): Promise<number> {
  const { rows } = await pool.query<{ organization_id: string }>(`select ${columnsOf(table)} from ${table}`);
  expect([table, ...new Set(rows.map((row) => row.organization_id))]).toEqual([table, organizationId]);
  return rows.length;
}

describe('every table', () => {
  test('belongs to an organization, row by row, and has rows of two of them here', async () => {
    expect(tables.length).toBeGreaterThan(14);
    for (const table of tables) {
      const { rows } = await server.owner.pool.query(`select distinct organization_id from ${table} order by 1`);
      expect([table, rows.map((row) => row.organization_id)]).toEqual([table, Object.values(organizations).sort()]);
    }
  });

  test('has its two policies, forced', async () => {
    const { rows } = await server.owner.pool.query(
      `select relname, relrowsecurity, relforcerowsecurity, array_agg(polname::text || ' ' || polcmd::text || ' ' ||
              polroles::regrole[]::text order by polname) as policies
       from pg_class join pg_policy on polrelid = pg_class.oid group by 1, 2, 3 order by 1`,
    );
    expect(rows).toEqual(
      tables.map((relname) => ({
        relname,
        relrowsecurity: true,
        relforcerowsecurity: true,
        policies: ['every_organization * {metrology_service}', 'own_organization * {metrology_api}'],
      })),
    );
  });

  test('shows the API the rows of one organization, whatever the statement asks for', async () => {
    for (const table of tables.filter(apiMayRead)) {
      for (const id of Object.values(organizations)) {
        expect([table, await rowsSeen(server.database.as(id), table, id)]).toEqual([table, expect.any(Number)]);
        const { pool } = server.database.as(id);
        const others = await pool.query(`select from ${table} where organization_id <> $1::uuid`, [id]);
        expect(others.rowCount).toBe(0);
      }
      const nobody = await server.database.as(randomUUID()).pool.query(`select ${columnsOf(table)} from ${table}`);
      expect([table, nobody.rowCount]).toEqual([table, 0]);
    }
  });

  test('lets the API change none of another organization', async () => {
    const { pool } = server.database.as(organizations.rival);
    for (const table of tables) {
      for (const statement of [
        `delete from ${table} where organization_id = '${organizations.lab}'`,
        `update ${table} set organization_id = '${organizations.rival}' where organization_id = '${organizations.lab}'`,
      ]) {
        const changed = await pool.query(statement).then(
          ({ rowCount }) => rowCount,
          (error: pg.DatabaseError) => error.code,
        );
        expect([0, '42501'], statement).toContain(changed);
      }
    }
    const { rows: users } = await pool.query<{ user_id: string }>('select user_id from users');
    await expect(
      pool.query(`insert into tags (organization_id, user_id, name) values ($1::uuid, $2::uuid, 'x')`, [
        organizations.lab,
        users[0]?.user_id,
      ]),
    ).rejects.toThrow('violates row-level security policy');
    await expect(
      pool.query(
        `insert into api_keys (organization_id, user_id, public_id, key_hash, key_hint)
         select $1::uuid, user_id, 'x', sha256('x'), 'x' from users`,
        [organizations.lab],
      ),
    ).rejects.toThrow('violates row-level security policy');
    const revoked = await pool.query('update api_keys set revoked_at = now() where organization_id = $1::uuid', [
      organizations.lab,
    ]);
    expect(revoked.rowCount).toBe(0);
    await expect(pool.query(`update tags set organization_id = $1::uuid`, [organizations.lab])).rejects.toThrow(
      'violates row-level security policy',
    );
    const { rows } = await server.owner.pool.query('select count(*) from tags where organization_id = $1', [
      organizations.lab,
    ]);
    expect(rows[0].count).toBe(1);
  });

  test('fails a statement of the API that has named no organization', async () => {
    const client = new pg.Client({ connectionString: server.databaseUrl, options: '-c role=metrology_api' });
    await client.connect();
    for (const table of tables.filter(apiMayRead)) {
      await expect(client.query(`select ${columnsOf(table)} from ${table}`), table).rejects.toThrow(
        'unrecognized configuration parameter "metrology.organization_id"',
      );
    }
    await client.end();
  });

  test('shows the service all', async () => {
    for (const table of tables) {
      const { rows } = await server.database.everyOrganization.upkeep.pool.query(
        `select distinct organization_id from ${table}`,
      );
      expect([table, rows.length]).toEqual([table, 2]);
    }
  });
});

describe('the API', () => {
  test.each([
    ['sees no hash of a key', 'select key_hash from api_keys'],
    ['sees no session', 'select token_hash from sessions'],
    ['sees no link', 'select token_hash from sign_in_links'],
    ['changes no secret of a key', `update api_keys set key_hash = sha256('mine'), public_id = 'mine'`],
    ['changes no scope of a key', `update api_keys set scopes = '{admin}'`],
    ['removes no key', 'delete from api_keys'],
    ['removes no user', 'delete from users'],
    ['renames no user', `update users set name = 'mine'`],
    ['stores no chunk', 'insert into chunks select * from chunks'],
    ['changes no chunk', `update chunks set "values" = '{}'`],
    ['changes no counter', 'update channels set point_count = 0'],
    ['lists no organizations', 'select name from organizations'],
    ['makes no table', 'create table mine (id integer)'],
    ['takes no policy away', 'alter table chunks no force row level security'],
  ])('%s', async (_what, statement) => {
    // In a cluster, rights on one column do not reach the shards (docs/decisions/0061-a-cluster-of-postgresql.md).
    if (onCluster && statement.startsWith('update channels')) return;
    const { pool } = server.database.as(organizations.lab);
    await expect(pool.query(statement)).rejects.toMatchObject({ code: '42501' });
  });
});

test('who logs in owns nothing, is above no policy, and without a role may do nothing', async () => {
  const client = await server.database.everyOrganization.upkeep.pool.connect();
  try {
    const login = await client.query(
      `select rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolinherit as mighty,
              exists (select from pg_class where relowner = pg_roles.oid) as owns
       from pg_roles where rolname = session_user`,
    );
    expect(login.rows).toEqual([{ mighty: false, owns: false }]);
    await client.query('begin; set local role none');
    await expect(client.query('select from streams')).rejects.toMatchObject({ code: '42501' });
  } finally {
    await client.query('rollback');
    client.release();
  }
  const owned = await server.owner.pool.query(
    `select relname from pg_class where relowner::regrole::text in ('metrology_api', 'metrology_service')`,
  );
  expect(owned.rowCount).toBe(0);
});

describe('a connection', () => {
  test('that served one organization shows the next one only its own, statement by statement and in transactions', async () => {
    const ids = Object.values(organizations);
    const look = async (id: string, i: number) => {
      const access = server.database.as(id);
      if (i % 3 === 0) return rowsSeen(access, 'chunks', id);
      if (i % 3 === 1) {
        const { rows } = await sql`select distinct organization_id from streams`.execute(access.kysely);
        return expect(rows).toEqual([{ organization_id: id }]);
      }
      return inTransaction(access.pool, async (client) => {
        const { rows } = await client.query('select distinct organization_id from tags');
        expect(rows).toEqual([{ organization_id: id }]);
        if (i % 2 === 0) throw new Error('rolled back');
      }).catch((error: Error) => expect(error.message).toBe('rolled back'));
    };
    await Promise.all(Array.from({ length: 300 }, (_, i) => look(ids[(i * 7 + (i >> 3)) % 2] as string, i)));
    expect(server.database.pools.general.totalCount).toBeLessThanOrEqual(8);
  });

  test('whose statement failed, or that was lost, does not take its organization along', async () => {
    const { pool } = server.database.as(organizations.lab);
    for (const statement of ['select 1 / 0', 'select pg_terminate_backend(pg_backend_pid())']) {
      await Promise.all([1, 2, 3].map(() => pool.query(statement).catch(() => {})));
      for (const id of Object.values(organizations)) await rowsSeen(server.database.as(id), 'streams', id);
    }
  });
});

test('a flush locks a channel for its own organization only', async () => {
  const dataId = await openStream(server);
  await server.post(chunkUrl, chunkBody(dataId, 0, 't', [1]));
  const { rows } = await server.owner.pool.query('select channel_id from channels where data_id = $1', [dataId]);
  const lockFor = (organizationId: string) =>
    inTransaction(server.database.everyOrganization.ingest, (client) =>
      lockChannels(
        client,
        [{ channelId: rows[0].channel_id, channelName: 't', item: { organizationId, dataId } } as never],
        onCluster ? 'one stream' : 'any streams',
      ),
    );
  await lockFor(organizations.lab);
  await expect(lockFor(organizations.rival)).rejects.toMatchObject({ status: 404 });
});
