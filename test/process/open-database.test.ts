import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { ensureUser } from '../../src/auth/people-store.ts';
import { createSqlReader } from '../../src/auth/sql-readers.ts';
import { findOrInsertTag, nextTags } from '../../src/catalogue/tags/store.ts';
import { readConfig } from '../../src/config.ts';
import { openAsOwner } from '../../src/database/database.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/database/embedded.ts';
import { openStore, type Store } from '../../src/process/open-database.ts';
import { verify } from '../../src/verify/verify.ts';
import { administer, urlOfDatabase } from '../support/global-setup.ts';

const log = pino({ level: 'silent' });
const open = async (settings: Record<string, string>): Promise<Store> => {
  const store = await openStore(readConfig(settings), log, { mayJoin: false });
  onTestFinished(() => store.close());
  return store;
};

/** An empty database with an owner that may do only this, and a name for a login; all gone after the test. */
async function emptyDatabase(adminUrl: string, rights = '') {
  const suffix = randomUUID().replaceAll('-', '').slice(0, 12);
  const [name, owner, login] = [`store_${suffix}`, `owner_${suffix}`, `login_${suffix}`];
  await administer(adminUrl, `create role ${owner} login ${rights} password 'only-for-tests'`);
  await administer(adminUrl, `create database ${name} owner ${owner}`);
  onTestFinished(async () => {
    await administer(adminUrl, `drop database ${name} with (force)`);
    for (const role of [login, owner]) await administer(adminUrl, `drop role if exists ${role}`);
  });
  const urlFor = (role: string) => {
    const url = new URL(urlOfDatabase(adminUrl, name));
    url.username = role;
    url.password = 'only-for-tests';
    return url.href;
  };
  return { owner, login, adminUrl: urlOfDatabase(adminUrl, name), ownerUrl: urlFor(owner), loginUrl: urlFor(login) };
}

/** Works through all ways into the database, and sees that two organizations are kept apart. */
async function work({ database }: Store): Promise<void> {
  const lab = await ensureUser(database, 'lab', 'ada');
  const rival = await ensureUser(database, 'rival', 'eve');
  await findOrInsertTag(database.as(lab.organization_id), lab.user_id, 'growth');
  expect(await nextTags(database.as(lab.organization_id), undefined, 9)).toHaveLength(1);
  expect(await nextTags(database.as(rival.organization_id), undefined, 9)).toEqual([]);
  const seen = await database.as(rival.organization_id).pool.query('select from tags');
  expect(seen.rowCount).toBe(0);
  expect((await verify(database, () => {})).channels).toEqual({ checked: 0, differ: 0 });
}

describe('a database whose owner makes the roles', () => {
  let postgres: EmbeddedPostgres;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'metrology-roles-'));
    postgres = await startEmbeddedPostgres({ dataDir: folder, log });
  }, 30_000);
  afterAll(async () => {
    await postgres?.stop();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  test('is opened, by four servers at once too, and its views show what there is', async () => {
    const { ownerUrl, adminUrl } = await emptyDatabase(postgres.connectionString, 'createrole');
    const stores = await Promise.all([1, 2, 3, 4].map(() => open({ DATABASE_URL: ownerUrl })));
    for (const store of stores) await work(store);
    const owner = openAsOwner(ownerUrl, { onIdleError: () => {} });
    onTestFinished(() => owner.close());
    const { rows } = await owner.pool.query('select count(*) from tags');
    expect(rows[0].count).toBe(1);
    const admin = openAsOwner(adminUrl, { onIdleError: () => {} });
    const { role, url } = await createSqlReader(admin, adminUrl, 'lab');
    await owner.pool.query(
      `insert into streams (organization_id, user_id, stream_name, points_per_chunk)
       select organization_id, user_id, 'run', 1 from users where name = 'ada'`,
    );
    await owner.pool.query(
      `insert into channels (organization_id, data_id, channel_name, point_count)
       select organization_id, data_id, 't', 1 from streams`,
    );
    const reader = openAsOwner(url, { onIdleError: () => {} });
    expect((await reader.pool.query('select channel_name from point_channels')).rows).toEqual([{ channel_name: 't' }]);
    await reader.close();
    await admin.pool.query(`drop owned by ${role}; drop role ${role}`);
    await admin.close();
  });
});

describe('a database whose owner may make no roles', () => {
  test('is refused with the statements that an administrator has to run, and opened once they have been', async () => {
    const { owner, adminUrl, ownerUrl } = await emptyDatabase(inject('adminUrl'));
    const refusal = openStore(readConfig({ DATABASE_URL: ownerUrl }), log, { mayJoin: false });
    const error = await refusal.catch((reason: Error) => reason.message);
    expect(error).toContain('PostgreSQL does not let this server make or take the roles that it works under');
    expect(error).toContain(`create role "${owner}" login`);
    const grant = /grant metrology_api, metrology_service to "\w+";/.exec(String(error))?.[0] as string;
    await administer(adminUrl, grant);
    await work(await open({ DATABASE_URL: ownerUrl }));
  });
});

describe('a server with a login of its own', () => {
  test('gets it made, and starts without the owner afterwards', async () => {
    const { adminUrl, loginUrl } = await emptyDatabase(inject('adminUrl'));
    await work(await open({ DATABASE_URL: loginUrl, MIGRATION_DATABASE_URL: adminUrl }));
    const alone = await open({ DATABASE_URL: loginUrl });
    await work(alone);
    const bare = openAsOwner(loginUrl, { onIdleError: () => {} });
    await expect(bare.pool.query('select from tags')).rejects.toMatchObject({ code: '42501' });
    await bare.close();
  });

  test('takes one that is there, with its own password', async () => {
    const { adminUrl, login, loginUrl } = await emptyDatabase(inject('adminUrl'));
    await administer(adminUrl, `create role ${login} login password 'only-for-tests'`);
    await work(await open({ DATABASE_URL: loginUrl, MIGRATION_DATABASE_URL: adminUrl }));
  });

  test('does not start on tables that the owner has not brought up to date', async () => {
    const { adminUrl, loginUrl } = await emptyDatabase(inject('adminUrl'));
    await open({ DATABASE_URL: loginUrl, MIGRATION_DATABASE_URL: adminUrl });
    await administer(adminUrl, `delete from kysely_migration where name like '0007%'`);
    await expect(open({ DATABASE_URL: loginUrl })).rejects.toThrow(
      'The database is not migrated: 0007_row_level_security missing; run "metrology-server migrate".',
    );
  });

  test('does not start where the roles have been taken from it', async () => {
    const { adminUrl, login, loginUrl } = await emptyDatabase(inject('adminUrl'));
    await open({ DATABASE_URL: loginUrl, MIGRATION_DATABASE_URL: adminUrl });
    await administer(adminUrl, `revoke metrology_api, metrology_service from ${login}`);
    await expect(open({ DATABASE_URL: loginUrl })).rejects.toThrow(
      `grant metrology_api, metrology_service to "${login}";`,
    );
  });
});

test('a database that was restored without its policies is refused', async () => {
  const { adminUrl, loginUrl } = await emptyDatabase(inject('adminUrl'));
  const settings = { DATABASE_URL: loginUrl, MIGRATION_DATABASE_URL: adminUrl };
  await open(settings);
  for (const policy of ['own_organization', 'every_organization']) {
    await administer(adminUrl, `drop policy ${policy} on chunks`);
  }
  await expect(open(settings)).rejects.toThrow(/The table chunks lacks its policies.*restore the backup once more/);
});
