import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { loginOf } from '../support/global-setup.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

/* What a read runs in PostgreSQL ends when its client has gone. */

let server: TestServer;
let organizationId: string;
let database: Database;
beforeAll(async () => {
  server = await startTestServer();
  organizationId = (await server.owner.pool.query('select organization_id from organizations limit 1')).rows[0]
    .organization_id;
  database = openDatabase(loginOf(server.databaseUrl), {
    poolMax: 2,
    onIdleError: () => {},
    limits: { abandonedMsMax: 50 },
  });
});
afterAll(async () => {
  await database.close();
  await server.close();
});

const gone = new Error('gone');
const pool = () => database.pools.general;

/** Statements with this word that PostgreSQL runs. */
async function running(word: string): Promise<number> {
  const { rows } = await server.owner.pool.query(
    `select count(*)::int from pg_stat_activity where query like $1 and state = 'active' and pid <> pg_backend_pid()`,
    [`%${word}%`],
  );
  return rows[0].count;
}

describe('when the signal of a handle is aborted', () => {
  test('a long statement is cancelled in PostgreSQL, and its connection is not used again', async () => {
    const client = new AbortController();
    const statement = database.as(organizationId, client.signal).pool.query(`select pg_sleep(60) as "long one"`);
    const failed = expect(statement).rejects.toBe(gone);
    await expect.poll(() => running('long one')).toBe(1);
    client.abort(gone);
    await failed;
    await expect.poll(() => running('long one')).toBe(0);
    expect(pool().totalCount).toBe(0);
    const { rows } = await database.as(organizationId).pool.query('select 1 as one');
    expect(rows).toEqual([{ one: 1 }]);
  });

  test('one that is over soon goes on, and its connection is used again', async () => {
    await database.as(organizationId).pool.query('select 1');
    const before = pool().totalCount;
    const client = new AbortController();
    const statement = database.as(organizationId, client.signal).pool.query('select pg_sleep(0.02)');
    client.abort(gone);
    await expect(statement).rejects.toBe(gone);
    const second = new AbortController();
    const short = database.as(organizationId, second.signal).pool.query('select pg_sleep(0.01) as "short one"');
    await expect.poll(() => running('short one'), { interval: 1 }).toBeLessThanOrEqual(1);
    second.abort(gone);
    await short.catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(pool().totalCount).toBe(before);
    expect((await database.as(organizationId).pool.query('select 2 as two')).rows).toEqual([{ two: 2 }]);
  });

  test('who waits for a connection waits no longer', async () => {
    const held = await database.as(organizationId).pool.connect();
    const client = new AbortController();
    const waits = database.as(organizationId, client.signal).pool.query('select 1');
    const failed = expect(waits).rejects.toBe(gone);
    await expect.poll(() => pool().waitingCount).toBe(1);
    client.abort(gone);
    await failed;
    expect(pool().waitingCount).toBe(0);
    held.release();
  });
});
