import pg from 'pg';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { type Database, type OwnerDatabase, openAsOwner, openDatabase } from '../../src/database/database.ts';
import { problemBetween, ranMigrations, readMigrations } from '../../src/database/migrations.ts';
import { beginPacking } from '../../src/database/packing.ts';
import { loginOf } from '../support/global-setup.ts';
import { cloneDatabase } from '../support/test-server.ts';

let url: string;
let owner: OwnerDatabase;
let database: Database;
beforeEach(async () => {
  url = await cloneDatabase();
  owner = openAsOwner(url, { onIdleError: () => {} });
  database = openDatabase(loginOf(url), { poolMax: 2, onIdleError: () => {} });
  // As the migration leaves it.
  await owner.pool.query(`update kysely_migration set release_before_serves = true where name = '0013_packed_series'`);
});
afterEach(async () => {
  await Promise.all([database.close(), owner.close()]);
});

const begin = () => beginPacking(database.everyOrganization.upkeep.pool);

/** A session that is not marked, as one of a release of before. */
async function session(address: string, application_name: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: address, application_name });
  await client.connect();
  onTestFinished(() => client.end().catch(() => {}));
  return client;
}

describe('packing begins', () => {
  test('where all sessions are of programs that can read it', async () => {
    await owner.pool.query('select');
    await database.everyOrganization.ingest.query('select');
    expect(await begin()).toBe(true);
    expect(await begin()).toBe(true);
  });

  test('when the last session of a server of the release before has ended, whatever it calls itself', async () => {
    const server = await session(loginOf(url), 'metrology-server');
    const renamed = await session(loginOf(url), 'growth lab');
    expect(await begin()).toBe(false);
    await server.end();
    expect(await begin()).toBe(false);
    await renamed.end();
    await expect.poll(begin).toBe(true);
  });

  test('beside people: superusers in psql, and roles that cannot be those of a server', async () => {
    await session(url, 'psql');
    expect(await begin()).toBe(true);
  });

  test('but not beside a server that logs in as a superuser', async () => {
    const server = await session(url, 'metrology-server');
    expect(await begin()).toBe(false);
    await server.end();
    await expect.poll(begin).toBe(true);
  });

  test('by the look of a server, which says so from then on', async () => {
    const old = await session(loginOf(url), 'metrology-server');
    expect(await database.readiness.look(0)).toBeUndefined();
    expect(database.readiness.packs()).toBe(false);
    const warn = vi.fn();
    onTestFinished(database.readiness.watch({ warn, error: vi.fn() }));
    await database.readiness.look(0);
    await database.readiness.look(0);
    expect(warn.mock.calls).toEqual([
      [
        { sessions: [{ pid: expect.any(Number), role: expect.any(String), application: 'metrology-server' }] },
        expect.stringContaining('series are not packed'),
      ],
    ]);
    await old.end();
    await expect.poll(() => database.readiness.look(0).then(() => database.readiness.packs())).toBe(true);
  });

  test('and from then on a server of the release before refuses to serve', async () => {
    const files = (await readMigrations()).filter(({ name }) => name < '0013');
    expect(problemBetween(files, await ranMigrations(owner))).toBeUndefined();
    expect(await begin()).toBe(true);
    expect(problemBetween(files, await ranMigrations(owner))).toContain('newer release (0013_packed_series)');
  });
});

test('a revision that keeps nothing of a packed chunk is refused, as a server of before would write it', async () => {
  const columns = `organization_id, data_id, channel_id, chunk_index, key_id, point_count, null_count, ascending, content_hash`;
  const values = `gen_random_uuid(), gen_random_uuid(), 1, 0, 1, 1, 0, true, ''`;
  const kept = `insert into chunk_revisions (${columns}, revision, replaced_by_key_id, stored_at, replacing_hash, timestamps, "values")
    values (${values}, 1, 1, now(), ''`;
  await expect(owner.pool.query(`${kept}, null, null)`)).rejects.toMatchObject({
    code: '23514',
    constraint: 'each_series_once',
  });
  await owner.pool.query(`${kept}, '{1}', '{2}')`);
});
