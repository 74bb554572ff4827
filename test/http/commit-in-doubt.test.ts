import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type OwnerDatabase, openAsOwner } from '../../src/database/database.ts';
import { CommitInDoubt } from '../../src/database/failures.ts';
import { inTransaction } from '../../src/database/transactions.ts';
import { toApiError } from '../../src/http/error-handler.ts';
import { cloneDatabase } from '../support/test-server.ts';

let database: OwnerDatabase;
beforeAll(async () => {
  const databaseUrl = await cloneDatabase();
  database = openAsOwner(databaseUrl, { poolMax: 2, onIdleError: () => {} });
});
afterAll(async () => {
  await database.close();
});

test('a connection that is lost at the commit leaves in doubt what was stored, and the answer says so', async () => {
  const failed = inTransaction(database.pool, async (client) => {
    const { rows } = await client.query('select pg_backend_pid() as pid');
    await database.pool.query('select pg_terminate_backend($1::integer)', [rows[0].pid]);
  }).catch((error: unknown) => error);
  const error = await failed;
  expect(error).toBeInstanceOf(CommitInDoubt);
  const { status, message, headers } = toApiError(error, {} as never);
  expect([status, headers['retry-after']]).toEqual([503, '1']);
  expect(message).toContain('may have been stored: send it again');
});

test('a commit that PostgreSQL refuses is in no doubt', async () => {
  await database.pool.query(
    'create table pairs (id integer primary key, other integer references pairs deferrable initially deferred)',
  );
  const error = await inTransaction(database.pool, (client) => client.query('insert into pairs values (1, 2)')).catch(
    (refusal: unknown) => refusal,
  );
  expect(error).toBeInstanceOf(pg.DatabaseError);
  expect((await database.pool.query('select 1 from pairs')).rowCount).toBe(0);
});
