import { readdir, readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import type { OwnerDatabase } from '../../src/database/database.ts';
import { migrate } from '../../src/database/migrate.ts';
import { pendingOf, ranMigrations, readMigrations } from '../../src/database/migrations.ts';
import { makeRoles } from '../../src/database/roles.ts';
import { emptyDatabase, folderOf } from './support/migrating.ts';

const shipped = (await readdir(new URL('../../migrations/', import.meta.url)))
  .filter((file) => file.endsWith('.sql'))
  .map((file) => file.slice(0, -'.sql'.length))
  .sort();

const pendingMigrations = async (database: OwnerDatabase, folder?: URL) =>
  pendingOf(await readMigrations(folder), await ranMigrations(database)).map(({ name }) => name);

async function tables(database: OwnerDatabase): Promise<string[]> {
  const { rows } = await database.pool.query(
    `select table_name from information_schema.tables where table_schema = 'public' order by 1`,
  );
  return rows.map((row) => row.table_name).filter((name) => !name.startsWith('kysely_'));
}

describe('migrate', () => {
  test('runs every file on an empty database, and nothing the second time', async () => {
    const database = (await emptyDatabase())();
    expect(await pendingMigrations(database)).toEqual(shipped);
    expect(await tables(database)).toEqual([]);
    expect(await migrate(database)).toEqual(shipped);
    expect(await tables(database)).toEqual(expect.arrayContaining(['api_keys', 'channels', 'chunks', 'streams']));
    expect(await pendingMigrations(database)).toEqual([]);
    expect(await migrate(database)).toEqual([]);
  });

  test('four servers that start at once on an empty database: each file runs once', async () => {
    const open = await emptyDatabase();
    const ran = await Promise.all([1, 2, 3, 4].map(() => migrate(open())));
    expect(ran.flat().sort()).toEqual(shipped);
    expect(ran.filter((names) => names.length > 0)).toHaveLength(1);
  });

  test('a file that fails is taken back as a whole, those before it stay, and the next run goes on from there', async () => {
    const database = (await emptyDatabase())();
    const first = { '0001_first.sql': 'create table first (id integer);' };
    const second = `create table second (id integer);
                    create function third() returns integer language plpgsql as $$ begin return 1; end $$;`;
    const broken = await folderOf({
      ...first,
      '0002_second.sql': `${second} select 1 / 0;`,
      'notes.txt': 'no migration',
    });
    await expect(migrate(database, { folder: broken })).rejects.toThrow('division by zero');
    expect(await tables(database)).toEqual(['first']);
    expect(await pendingMigrations(database, broken)).toEqual(['0002_second']);

    const mended = await folderOf({ ...first, '0002_second.sql': second });
    expect(await migrate(database, { folder: mended })).toEqual(['0002_second']);
    expect(await tables(database)).toEqual(['first', 'second']);
  });

  test('a database of a newer release is refused and left as it is', async () => {
    const database = (await emptyDatabase())();
    const older = { '0001_first.sql': 'create table first (id integer);' };
    await migrate(database, {
      folder: await folderOf({ ...older, '0002_second.sql': 'create table second (id integer);' }),
    });
    await expect(migrate(database, { folder: await folderOf(older) })).rejects.toThrow(/0002_second/);
    expect(await tables(database)).toEqual(['first', 'second']);
  });

  test('chunks that were stored before 0002 get their extreme values, channels their longest chunk', async () => {
    const database = (await emptyDatabase())();
    const shippedUrl = new URL('../../migrations/', import.meta.url);
    const text = (name: string) => readFile(new URL(`${name}.sql`, shippedUrl), 'utf8');
    const before = { '0001_initial.sql': await text('0001_initial') };
    await migrate(database, { folder: await folderOf(before) });
    await database.pool.query(`
      with o as (insert into organizations (name) values ('lab') returning organization_id),
      u as (insert into users (organization_id, name) select organization_id, 'ada' from o returning *),
      s as (insert into streams (organization_id, user_id, stream_name, points_per_chunk)
            select organization_id, user_id, 'run', 3 from u returning data_id),
      c as (insert into channels (data_id, channel_name) select data_id, 't' from s returning data_id, channel_id)
      insert into chunks (data_id, channel_id, chunk_index, start_offset, key_id, time_min, time_max, point_count,
                          null_count, ascending, content_hash, units, timestamps, "values")
      select data_id, channel_id, i, i * 4, 1, t[1], t[4], 4, 0, true, '\\x00', u, t, v
      from c, (values (0, 'K', '{1,2,3,4}'::float8[], '{5,-0,0,5}'::float8[]),
                      (1, '', '{11,12,1e300,17}', '{1,2,99,null}'),
                      (2, null, '{null,2,3,4}', '{7,null,null,null}')) as k (i, u, t, v)`);
    await migrate(database, {
      folder: await folderOf({ ...before, '0002_x.sql': await text('0002_summaries_and_revisions') }),
    });
    const { rows } = await database.pool.query(
      `select value_min, value_min_time, value_max, value_max_time, units,
              content_hash = sha256(array_send(timestamps) || array_send("values")) as rehashed
       from chunks order by chunk_index`,
    );
    expect(rows.map((row) => Object.values(row))).toEqual([
      [-0, 2, 5, 1, 'K', false],
      [1, 11, 2, 12, null, true],
      [null, null, null, null, null, false],
    ]);
    const channel = await database.pool.query('select chunk_seconds_max from channels');
    expect(channel.rows).toEqual([{ chunk_seconds_max: 6 }]);
  });

  test('what streams of several organizations had stored before 0007 belongs to the organization of its stream', async () => {
    const database = (await emptyDatabase())();
    const shippedUrl = new URL('../../migrations/', import.meta.url);
    const earlier = shipped.filter((name) => name < '0007');
    const texts = earlier.map(async (name) => [
      `${name}.sql`,
      await readFile(new URL(`${name}.sql`, shippedUrl), 'utf8'),
    ]);
    await migrate(database, { folder: await folderOf(Object.fromEntries(await Promise.all(texts))) });
    await database.pool.query(`
      with o as (insert into organizations (name) values ('lab'), ('rival'), ('third') returning *),
      u as (insert into users (organization_id, name) select organization_id, 'ada' from o returning *),
      s as (insert into streams (organization_id, user_id, stream_name, points_per_chunk)
            select u.organization_id, user_id, 'run', 1 from u join o using (organization_id),
              generate_series(1, case o.name when 'lab' then 1 else 3 end) returning data_id),
      c as (insert into channels (data_id, channel_name) select data_id, 't' from s returning data_id, channel_id),
      k as (insert into chunks (data_id, channel_id, chunk_index, start_offset, key_id, point_count, null_count, ascending,
                                content_hash, timestamps, "values")
            select data_id, channel_id, i, i, 1, 1, 0, true, '\\x00', '{1}', '{1}' from c, generate_series(0, 2) i
            returning *)
      insert into chunk_revisions (data_id, channel_id, chunk_index, revision, replaced_by_key_id, key_id, stored_at,
                                   content_hash, replacing_hash, point_count, null_count, ascending, timestamps, "values")
      select data_id, channel_id, chunk_index, 1, 1, 1, now(), '\\x00', '\\x00', 1, 0, true, '{1}', '{1}' from k`);
    await makeRoles(database);
    expect(await migrate(database)).toEqual(shipped.filter((name) => name >= '0007'));
    for (const [table, count] of [
      ['channels', 7],
      ['chunks', 21],
      ['chunk_revisions', 21],
    ]) {
      const { rows } = await database.pool.query(
        `select count(*), bool_and(r.organization_id = s.organization_id) as own from ${table} r join streams s using (data_id)`,
      );
      expect([table, rows]).toEqual([table, [{ count, own: true }]]);
    }
    await expect(
      database.pool.query(`insert into channels (data_id, channel_name) select data_id, 'u' from streams`),
    ).rejects.toThrow('null value in column "organization_id"');
  });
});
