import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { hasSqlstate, sqlstateClasses, sqlstates } from '../../src/database/sqlstates.ts';

let client: pg.Client;
beforeAll(async () => {
  client = new pg.Client({ connectionString: inject('adminUrl') });
  await client.connect();
});
afterAll(() => client?.end());

/** What PostgreSQL fails with when it is told to, by one of its own names. */
const failureOf = (name: string): Promise<unknown> =>
  client.query(`do $$ begin raise exception using errcode = '${name}'; end $$`).catch((error: unknown) => error);

const inSnakeCase = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

test.each(Object.entries(sqlstates))('%s is what PostgreSQL calls %s', async (name, code) => {
  const failure = await failureOf(inSnakeCase(name));
  expect(failure).toBeInstanceOf(pg.DatabaseError);
  expect(failure).toMatchObject({ code });
});

// The last one is no class, but the codes of one that end the session.
test.each(Object.entries(sqlstateClasses).filter(([name]) => name !== 'sessionEnd'))(
  '%s is what PostgreSQL calls the class %s',
  async (name, code) => {
    const failure = (await failureOf(inSnakeCase(name))) as pg.DatabaseError;
    expect(failure.code?.slice(0, 2)).toBe(code);
  },
);

describe('hasSqlstate', () => {
  test('finds a code among several, and a class', async () => {
    const failure = await failureOf('deadlock_detected');
    expect(hasSqlstate(failure, sqlstates.lockNotAvailable, sqlstates.deadlockDetected)).toBe(true);
    expect(hasSqlstate(failure, sqlstateClasses.transactionRollback)).toBe(true);
    expect(hasSqlstate(failure, sqlstates.lockNotAvailable, sqlstateClasses.systemError)).toBe(false);
    expect(hasSqlstate(failure)).toBe(false);
  });

  test.each(['admin_shutdown', 'crash_shutdown', 'cannot_connect_now', 'database_dropped'])(
    'knows %s as an end of the session',
    async (name) => {
      expect(hasSqlstate(await failureOf(name), sqlstateClasses.sessionEnd)).toBe(true);
    },
  );

  test('does not take a cancelled statement for an end of the session, though both are of class 57', async () => {
    expect(hasSqlstate(await failureOf('query_canceled'), sqlstateClasses.sessionEnd)).toBe(false);
  });

  test('takes an error that carries such a code, and nothing else', () => {
    const every = [...Object.values(sqlstates), ...Object.values(sqlstateClasses)];
    expect(hasSqlstate(Object.assign(new Error('as PostgreSQL'), { code: '23505' }), sqlstates.uniqueViolation)).toBe(
      true,
    );
    const codes = ['EPIPE', 'ENOENT', 'ERR_INVALID_URL', 'FST_ERR_NOT_FOUND', 'conflict', '', 23505, undefined];
    for (const code of codes) expect(hasSqlstate({ code }, ...every), String(code)).toBe(false);
    for (const other of [undefined, null, '23505', 5, new Error('23505')])
      expect(hasSqlstate(other, ...every)).toBe(false);
  });
});
