import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type OwnerDatabase, openAsOwner, openDatabase } from '../../src/database/database.ts';
import { isoTime } from '../../src/database/pool.ts';
import { inTransaction } from '../../src/database/transactions.ts';
import { startTcpProxy, type TcpProxy } from '../http/support/tcp-proxy.ts';
import { cloneDatabase } from '../support/test-server.ts';

let databaseUrl: string;
let database: OwnerDatabase;

beforeAll(async () => {
  databaseUrl = await cloneDatabase();
  database = openAsOwner(databaseUrl, { poolMax: 3, onIdleError: () => {} });
  await database.pool.query('create table notes (note text primary key)');
});
afterAll(async () => {
  await database?.close();
});

const notes = async () => {
  const { rows } = await database.pool.query('select note from notes order by note');
  return rows.map((row) => row.note);
};

test('close ends every connection, also where Kysely was never used', async () => {
  const other = openAsOwner(databaseUrl, { poolMax: 1, onIdleError: () => {} });
  const { rows } = await other.pool.query('select pg_backend_pid() as pid');
  await other.close();
  const isThere = async () => {
    const found = await database.pool.query('select from pg_stat_activity where pid = $1', [rows[0].pid]);
    return found.rowCount;
  };
  await expect.poll(isThere, { timeout: 3_000 }).toBe(0);
});

describe('types', () => {
  test('times come as ISO 8601 in UTC with microseconds, int8 as numbers, through both faces of the pool', async () => {
    const text = `select timestamptz '2026-01-31 08:00:00.123456+02' as t, 9007199254740991::bigint as n`;
    const expected = [{ t: '2026-01-31T06:00:00.123456Z', n: Number.MAX_SAFE_INTEGER }];
    expect((await database.pool.query(text)).rows).toEqual(expected);
    expect((await sql.raw(text).execute(database.kysely)).rows).toEqual(expected);
  });

  test('whatever the database is set to, times stay UTC and float8 keeps its digits', async () => {
    const clone = await cloneDatabase();
    const name = new URL(clone).pathname.slice(1);
    await database.pool.query(`alter database ${name} set timezone = 'Asia/Kolkata'`);
    await database.pool.query(`alter database ${name} set datestyle = 'German'`);
    await database.pool.query(`alter database ${name} set extra_float_digits = 0`);
    const odd = openAsOwner(clone, { poolMax: 1, onIdleError: () => {} });
    const { rows } = await odd.pool.query(`select timestamptz '2026-02-01 00:00:00Z' as t, 0.1::float8 + 0.2 as sum`);
    await odd.close();
    expect(rows).toEqual([{ t: '2026-02-01T00:00:00Z', sum: 0.30000000000000004 }]);
  });

  test('isoTime keeps other offsets', () => {
    expect(isoTime('2026-01-31 08:00:00+05:30')).toBe('2026-01-31T08:00:00+05:30');
    expect(isoTime('2026-01-31 08:00:00.5-08')).toBe('2026-01-31T08:00:00.5-08:00');
  });
});

describe('inTransaction', () => {
  test('commits what its work did and returns its result', async () => {
    const result = await inTransaction(database.pool, async (client) => {
      await client.query(`insert into notes values ('kept')`);
      return 7;
    });
    expect(result).toBe(7);
    expect(await notes()).toContain('kept');
  });

  test('rolls back on any error, throws that error and gives the connection back', async () => {
    for (let i = 0; i < 5; i++) {
      const failing = inTransaction(database.pool, async (client) => {
        await client.query(`insert into notes values ('lost')`);
        throw new Error('no');
      });
      await expect(failing).rejects.toThrow('no');
    }
    expect(await notes()).not.toContain('lost');
    expect(database.pool.totalCount).toBeLessThanOrEqual(3);
    expect(database.pool.idleCount).toBe(database.pool.totalCount);
  });

  test('a connection that PostgreSQL ends in the middle is not used again', async () => {
    const cut = inTransaction(database.pool, async (client) => {
      const { rows } = await client.query('select pg_backend_pid() as pid');
      await database.pool.query('select pg_terminate_backend($1::integer)', [rows[0].pid]);
      await sleep(50);
      await client.query(`insert into notes values ('cut')`);
    });
    await expect(cut).rejects.toThrow();
    expect(await notes()).not.toContain('cut');
    await Promise.all([1, 2, 3, 4].map(() => database.pool.query('select 1')));
  });
});

describe('a lost network', () => {
  let proxy: TcpProxy;
  let idleErrors: Error[];
  let away: OwnerDatabase;

  beforeAll(async () => {
    proxy = await startTcpProxy(databaseUrl);
    idleErrors = [];
    away = openAsOwner(proxy.urlOf(databaseUrl), {
      poolMax: 3,
      onIdleError: (error) => idleErrors.push(error),
      statementMsMax: 1_000,
    });
  });
  afterAll(async () => {
    await away?.close();
    await proxy?.close();
  });

  test('fails the statements that are running, ends nothing else, and the pool recovers', async () => {
    const running = [
      away.pool.query('select pg_sleep(5)'),
      sql`select pg_sleep(5)`.execute(away.kysely),
      inTransaction(away.pool, (client) => client.query('select pg_sleep(5)')),
    ].map((one) =>
      one.then(
        () => 'done',
        (error: Error) => error.message,
      ),
    );
    await sleep(200);
    proxy.cut();
    for (const outcome of await Promise.all(running)) expect(outcome).toMatch(/terminated|ECONNRESET|EPIPE/);
    expect((await away.pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });

  test('reports the connections that were idle', async () => {
    idleErrors.length = 0;
    await away.pool.query('select 1');
    proxy.cut();
    await expect.poll(() => idleErrors.length).toBeGreaterThan(0);
    expect((await away.pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });

  test('a statement runs no longer than its bound', async () => {
    await expect(away.pool.query('select pg_sleep(5)')).rejects.toMatchObject({ code: '57014' });
  });

  test('an answer that the network swallows is given up, in a transaction too', async () => {
    const work = inTransaction(away.pool, async (client) => {
      proxy.silence();
      await client.query('select 1');
    });
    const startedAt = Date.now();
    await expect(work).rejects.toThrow('Query read timeout');
    expect(Date.now() - startedAt).toBeLessThan(5_000);
    proxy.cut();
    await proxy.close();
    await proxy.open();
    expect((await away.pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });
});

test('options of the URL are kept and leave those of the server in force, on every pool', async () => {
  const url = new URL(databaseUrl);
  url.searchParams.set('options', '-c work_mem=12MB -c timezone=Asia/Tokyo');
  const other = openDatabase(url.href, { poolMax: 1, onIdleError: () => {} });
  const settings = `select current_setting('work_mem') as memory, current_setting('timezone') as zone,
                           current_setting('plan_cache_mode') as plans`;
  const expected = { memory: '12MB', zone: 'UTC' };
  try {
    const plans = 'auto';
    expect((await other.as(randomUUID()).pool.query(settings)).rows).toEqual([{ ...expected, plans }]);
    expect((await other.everyOrganization.upkeep.pool.query(settings)).rows).toEqual([{ ...expected, plans }]);
    expect((await other.everyOrganization.ingest.query(settings)).rows).toEqual([
      { ...expected, plans: 'force_generic_plan' },
    ]);
  } finally {
    await other.close();
  }
});
