import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type Cluster, openCluster } from '../faults/support/postgres-15.ts';
import { newDatabase, open, serveOn, workload } from './support/store.ts';

/* Databases on which no server can work, or not this one: refused at the start, each with a sentence. */

let cluster: Cluster;
beforeAll(async () => {
  cluster = await openCluster();
  await cluster.start();
  // Otherwise the first start in a database makes them, as a superuser.
  await cluster.query('create role metrology_api; create role metrology_service');
}, 60_000);
afterAll(async () => {
  await cluster?.remove();
});

async function newRole(rights = ''): Promise<string> {
  const role = `lab_${randomUUID().slice(0, 8)}`;
  await cluster.query(`create role ${role} login ${rights}`);
  await cluster.query(`grant metrology_api, metrology_service to ${role}`);
  return role;
}

const refusal = (url: string, more: Record<string, string> = {}) =>
  open({ DATABASE_URL: url, ...more }).then(
    () => 'started',
    (error: Error) => error.message,
  );

describe('a start is refused', () => {
  test.each([
    ['WIN1252', `encoding 'WIN1252' lc_collate 'C' lc_ctype 'C' template template0`],
    ['SQL_ASCII', `encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C' template template0`],
  ])('on a database of another encoding: %s', async (encoding, how) => {
    const name = await newDatabase(cluster, how);
    expect(await refusal(cluster.url(name))).toMatch(
      new RegExp(`^The database ${name} has the encoding ${encoding}, .*encoding 'UTF8' template template0`),
    );
  });

  test.each(['second', 'second,public'])('in a second schema beside that of another server: %s', async (path) => {
    const name = await newDatabase(cluster);
    await open({ DATABASE_URL: cluster.url(name) });
    await cluster.query('create schema second', name);
    const url = `${cluster.url(name)}?options=-c%20search_path%3D${path}`;
    expect(await refusal(url)).toMatch(
      /holds a metrology-server in the schema public, and search_path leads to second: /,
    );
    expect(await cluster.query(`select from pg_class where relnamespace = 'second'::regnamespace`, name)).toEqual([]);
  });

  test('where search_path names no schema that is there', async () => {
    const url = `${cluster.url(await newDatabase(cluster))}?options=-csearch_path%3Dnowhere`;
    expect(await refusal(url)).toMatch(/^The search_path of the database names no schema that is there/);
  });

  test('where another program keeps its migrations with Kysely', async () => {
    const name = await newDatabase(cluster);
    await cluster.query(
      `create table kysely_migration (name varchar(255) primary key, timestamp varchar(255) not null);
       create table kysely_migration_lock (id varchar(255) primary key, is_locked integer not null default 0);
       insert into kysely_migration values ('2024_01_users', 'then')`,
      name,
    );
    expect(await refusal(cluster.url(name))).toMatch(
      /kysely_migration .* is that of another program, which has run 2024_01_users: give metrology-server a database of its own/,
    );
  });

  test('where such a program has come later', async () => {
    const name = await newDatabase(cluster);
    await open({ DATABASE_URL: cluster.url(name) });
    await cluster.query(`insert into kysely_migration values ('2024_01_users', 'then')`, name);
    expect(await refusal(cluster.url(name))).toMatch(/2024_01_users.*another program/);
  });

  test('where another program has tables of the same names', async () => {
    const name = await newDatabase(cluster);
    await cluster.query('create table users (id int); create view tags as select 1 as id', name);
    expect(await refusal(cluster.url(name))).toMatch(/holds tables of another program \(tags, users\): /);
    expect(await cluster.query(`select relname from pg_class where relname like 'kysely%'`, name)).toEqual([]);
  });

  test('to a role that may make no tables', async () => {
    const name = await newDatabase(cluster);
    const role = await newRole();
    expect(await refusal(cluster.url(name, role))).toBe(
      `The role ${role} may make no tables in the schema public of the database ${name}: let its owner run ` +
        `"grant create on schema public to ${role}", or make the role the owner of the database.`,
    );
    await cluster.query(`grant create on schema public to ${role}`, name);
    expect(await refusal(cluster.url(name, role))).toBe('started');
  });

  test('on a read-only database, empty or not, and for a role that may only read', async () => {
    const name = await newDatabase(cluster);
    await cluster.query(`alter database ${name} set default_transaction_read_only = on`);
    expect(await refusal(cluster.url(name))).toMatch(/is read-only: set default_transaction_read_only off/);
    await cluster.query(`alter database ${name} reset default_transaction_read_only`);
    const role = await newRole();
    const settings = { MIGRATION_DATABASE_URL: cluster.url(name) };
    expect(await refusal(cluster.url(name, role), settings)).toBe('started');
    await cluster.query(`alter role ${role} set default_transaction_read_only = on`);
    expect(await refusal(cluster.url(name, role), settings)).toMatch(/is read-only/);
    await cluster.query(`alter database ${name} set default_transaction_read_only = on`);
    expect(await refusal(cluster.url(name))).toMatch(/is read-only/);
  });

  test('where the tables that have to be migrated belong to another role', async () => {
    const name = await newDatabase(cluster);
    const [owner, other] = [await newRole('createrole'), await newRole('createrole')];
    await cluster.query(`alter database ${name} owner to ${owner}`);
    expect(await refusal(cluster.url(name, owner))).toBe('started');
    await cluster.query(`delete from kysely_migration where name like '0008%'`, name);
    const sentence = new RegExp(
      `0008_pages_of_samples missing, and its tables belong to the role ${owner}, not to ${other}: run "metrology-server migrate"`,
    );
    await cluster.query(`grant select on kysely_migration to ${other}`, name);
    await cluster.query(`grant create on schema public to ${other}`, name);
    const settings = { MIGRATION_DATABASE_URL: cluster.url(name, other) };
    expect(await refusal(cluster.url(name, await newRole()), settings)).toMatch(sentence);
    await cluster.query(`revoke select on kysely_migration from ${other}`, name);
    expect(await refusal(cluster.url(name, await newRole()), settings)).toMatch(/belong to the role/);
  });
});

describe('a PostgreSQL with few connections', () => {
  test.each([
    ['of its own', async (_name: string, role: string) => cluster.query(`alter role ${role} connection limit 6`)],
    ['for the database', async (name: string) => cluster.query(`alter database ${name} connection limit 6`)],
  ])('%s: requests wait for one that is there', async (_name, limit) => {
    const name = await newDatabase(cluster);
    const role = await newRole();
    await cluster.query(`grant create on schema public to ${role}`, name);
    await limit(name, role);
    const { database } = await open({ DATABASE_URL: cluster.url(name, role), DATABASE_POOL_MAX: '20' });
    onTestFinished(async () => {
      await cluster.query(`alter role ${role} connection limit -1`);
    });
    expect(await workload(await serveOn(database), 8, 6)).toEqual({
      'initialize 200': 8,
      'chunk 201': 48,
      'ledger 200': 48,
      'search 200': 48,
    });
  });
});
