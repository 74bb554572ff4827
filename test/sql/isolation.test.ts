import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createKey } from '../../src/auth/keys.ts';
import { admitSqlReader, createSqlReader, dropSqlReader, listSqlReaders } from '../../src/auth/sql-readers.ts';
import { openAsOwner, openDatabase } from '../../src/database/database.ts';
import { migrate } from '../../src/database/migrate.ts';
import { chunkBody, openStream } from '../streams/support/chunks.ts';
import { administer } from '../support/global-setup.ts';
import { cloneDatabase, startTestServer, type TestServer } from '../support/test-server.ts';
import { openReaders, type Reader } from './support/readers.ts';

let server: TestServer;
let readers: Record<'lab' | 'rival', Reader>;
let closeReaders: () => Promise<void>;
let ofLab: string;
let ofRival: string;
beforeAll(async () => {
  server = await startTestServer();
  ({ readers, close: closeReaders } = await openReaders(server, ['lab', 'rival']));
  const { json: sample } = await server.post('/physical_samples/', { name: 'wafer of the lab' });
  ofLab = await openStream(server, { stream_name: 'recipe of the lab', physical_sample_id: sample.id });
  const { json: tag } = await server.post('/tags/', { name: 'hot' });
  await server.post('/tags/data-items/', { data_ids: [ofLab], tag_ids: [tag.id] });
  await server.post('/tool-state/stream/chunk', chunkBody(ofLab, 0, 't', [1, 2]));
  const { json: foreign } = await server.post('/physical_samples/', { name: 'wafer of the rival' }, server.keys.rival);
  const run = { points_per_chunk: 3, physical_sample_id: foreign.id };
  const opened = await server.post('/tool-state/stream/initialize', run, server.keys.rival);
  ofRival = opened.json.data_id;
  await server.post('/tool-state/stream/chunk', chunkBody(ofRival, 0, 't', [3]), server.keys.rival);
});
afterAll(async () => {
  await closeReaders?.();
  await server.close();
});

const between = (dataId: string) => `points_between('${dataId}', '-infinity', 'infinity')`;
const ids = (rows: Record<string, unknown>[]) => [...new Set(rows.map((row) => row.data_id))];

describe('a reader', () => {
  test("sees its organization's points and no others, through all there is", async () => {
    for (const [reader, own, foreign] of [
      [readers.lab, ofLab, ofRival],
      [readers.rival, ofRival, ofLab],
    ] as const) {
      for (const from of ['points', 'point_channels', 'runs', between(own)]) {
        expect(ids(await reader.query(`select data_id from ${from}`))).toEqual([own]);
      }
      expect(await reader.query(`select from ${between(foreign)}`)).toEqual([]);
      for (const view of ['points', 'point_channels', 'runs']) {
        expect(await reader.query(`select from ${view} where data_id = $1`, [foreign])).toEqual([]);
      }
    }
  });

  test('may use the three views and nothing else of the schema, and write nowhere', async () => {
    const { rows } = await server.owner.pool.query<{ name: string }>(
      `select relname as name from pg_class
       where relnamespace = 'public'::regnamespace and relkind in ('r', 'v', 'm', 'S', 'p', 'f')`,
    );
    const readable: string[] = [];
    for (const { name } of rows) {
      const answer = await readers.lab.query(`select from ${name} limit 1`).catch((error) => error.code);
      if (Array.isArray(answer)) readable.push(name);
      else expect([name, answer]).toEqual([name, '42501']);
    }
    expect(readable.sort()).toEqual(['point_channels', 'points', 'runs']);
    await readers.lab.query('set default_transaction_read_only = off');
    for (const statement of [
      'create table mine (n integer)',
      'insert into sql_readers values (session_user, gen_random_uuid())',
      'delete from points',
      "update point_channels set units = 'x'",
      "update runs set note = 'x'",
      `set role ${readers.rival.role}`,
      `set session authorization ${readers.rival.role}`,
      `create or replace function point_time(seconds float8) returns timestamptz language sql return null`,
    ]) {
      await expect(readers.lab.query(statement), statement).rejects.toThrow(/permission denied|cannot|must be owner/);
    }
  });

  test('learns nothing by a function of its own that tells what it is given, nor by tables named like ours', async () => {
    const { client, query } = readers.lab;
    const heard: string[] = [];
    client.on('notice', (notice) => heard.push(notice.message ?? ''));
    await query('set default_transaction_read_only = off');
    await query(`create function pg_temp.tell(anyelement) returns boolean language plpgsql cost 0.0000001
                 as $$ begin raise notice '%', $1; return true; end $$`);
    // However it plans: tables as a whole come first.
    for (const way of ['nestloop', 'indexscan', 'bitmapscan']) await query(`set enable_${way} = off`);
    await query('select from point_channels where pg_temp.tell(data_id) and pg_temp.tell(stream_name)');
    await query('select from points where pg_temp.tell(data_id) and pg_temp.tell(value)');
    await query('select from runs where pg_temp.tell(sample) and pg_temp.tell(tags) and pg_temp.tell(user_name)');
    expect([...new Set(heard)].sort()).toEqual(
      [ofLab, 'recipe of the lab', '1', '2', 'wafer of the lab', '{hot}', 'ada'].sort(),
    );
    await query('reset all');
    await query('set default_transaction_read_only = off');
    await query(`create temp table sql_readers as
                 select session_user::text as role_name, organization_id from (values (gen_random_uuid())) as v (organization_id)`);
    await query('create temp table streams (data_id uuid, organization_id uuid, deleted_at timestamptz)');
    expect(ids(await query(`select data_id from ${between(ofLab)}`))).toEqual([ofLab]);
    expect(await query(`select from ${between(ofRival)}`)).toEqual([]);
  });

  test('has a name that tells nothing, needs its password, and is bounded', async () => {
    const { role, query } = readers.lab;
    expect(role).toMatch(/^metrology_reader_[0-9a-f]{10}$/);
    expect(await query('show statement_timeout')).toEqual([{ statement_timeout: '1min' }]);
    const { rows } = await server.owner.pool.query('select * from pg_roles where rolname = $1', [role]);
    expect(rows[0]).toMatchObject({ rolsuper: false, rolcreaterole: false, rolcreatedb: false, rolconnlimit: 10 });
    const wrong = new pg.Client({ connectionString: readers.lab.url.replace(/:[^:@]+@/, ':wrong@') });
    await expect(wrong.connect()).rejects.toMatchObject({ code: '28P01' });
  });

  test('is listed; dropped, it sees nothing any more, in a session that is open too', async () => {
    const { readers: one, close } = await openReaders(server, ['lab']);
    const { role, query } = one.lab;
    expect(await query('select from points')).toHaveLength(2);
    const listed = async () => (await listSqlReaders(server.owner)).map((row) => [row.role_name, row.organization]);
    expect(await listed()).toContainEqual([role, 'lab']);
    expect(await dropSqlReader(server.owner, role)).toBe(true);
    await expect(query('select from points')).rejects.toThrow(/permission denied|does not exist|invalid/);
    expect(await listed()).not.toContainEqual([role, 'lab']);
    await expect(dropSqlReader(server.owner, role)).rejects.toThrow(`There is no SQL reader "${role}".`);
    await close();
  });
});

test('who is no reader sees nothing, the owner of the tables neither', async () => {
  for (const from of ['points', 'point_channels', 'runs', between(ofLab)]) {
    expect((await server.owner.pool.query(`select from ${from}`)).rowCount).toBe(0);
  }
});

test('names what is wrong: an organization that is not there', async () => {
  const made = createSqlReader(server.owner, server.databaseUrl, 'nobody');
  await expect(made).rejects.toThrow('There is no organization "nobody".');
});

test('where the server may not make roles, it says so, and takes one that is there', async () => {
  const databaseUrl = await cloneDatabase();
  const name = new URL(databaseUrl).pathname.slice(1);
  const [owner, reader] = [`owner_of_${name}`, `reader_of_${name}`];
  const asRole = (role: string) => Object.assign(new URL(databaseUrl), { username: role, password: 'secret' }).href;
  for (const statement of [
    `create role ${owner} login password 'secret'`,
    `create role ${reader} login password 'secret'`,
    'drop schema public cascade',
    `create schema public authorization ${owner}`,
    `grant metrology_api, metrology_service to ${owner}`,
  ]) {
    await administer(databaseUrl, statement);
  }
  const database = openDatabase(asRole(owner), { poolMax: 2, onIdleError: () => {} });
  const asOwner = openAsOwner(asRole(owner), { onIdleError: () => {} });
  const client = new pg.Client({ connectionString: asRole(reader) });
  try {
    await migrate(asOwner);
    await createKey(database, 'lab', 'ada');
    await expect(createSqlReader(asOwner, asRole(owner), 'lab')).rejects.toThrow(
      /may not make roles.*CREATEROLE.*sql-readers create --organization "lab" --role NAME/,
    );
    await expect(admitSqlReader(asOwner, 'nobody_at_all', 'lab')).rejects.toThrow('There is no role "nobody_at_all"');
    await admitSqlReader(asOwner, reader, 'LAB');
    await expect(admitSqlReader(asOwner, reader, 'lab')).rejects.toThrow('is a reader already');
    await client.connect();
    expect((await client.query('select * from points')).rows).toEqual([]);
    await expect(client.query('select * from chunks')).rejects.toMatchObject({ code: '42501' });
    expect(await dropSqlReader(asOwner, reader)).toBe(false);
    await expect(client.query('select * from points')).rejects.toThrow(/does not exist|permission denied/);
  } finally {
    await client.end();
    await Promise.all([database.close(), asOwner.close()]);
  }
});
