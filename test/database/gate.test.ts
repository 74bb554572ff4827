import pg from 'pg';
import { expect, inject, onTestFinished, test } from 'vitest';
import { createGate } from '../../src/database/gate.ts';
import { openPool } from '../../src/database/pool.ts';

/** A pool before a gate. It gives up waiting after `waitMs`. */
function openGated(waitMs: number) {
  const gate = createGate();
  const bounds = {
    statementMsMax: 10_000,
    answerMsMax: 1_000,
    waitMsMax: waitMs,
    sessionMsMax: 5_000,
    fullPauseMs: 50,
    fullKeepMs: 500,
  };
  const pool = openPool(gate.route, { ...bounds, settings: { work_mem: '77MB' }, onIdleError: () => {} }, { max: 4 });
  onTestFinished(() => pool.end());
  return { gate, pool };
}
const nameOf = async (pool: pg.Pool) => (await pool.query('show work_mem')).rows[0].work_mem;

test('who comes before it is opened waits, and gets through with the settings of the pool', async () => {
  const { gate, pool } = openGated(20_000);
  const waiting = [nameOf(pool), nameOf(pool)];
  const client = pool.connect();
  gate.open(inject('adminUrl'));
  expect(await Promise.all(waiting)).toEqual(['77MB', '77MB']);
  (await client).release();
  expect(await nameOf(pool)).toBe('77MB');
});

test('who waits for too long, and who comes while PostgreSQL is away, is told that it is starting', async () => {
  await expect(openGated(50).pool.query('select 1')).rejects.toMatchObject({ code: '57P03' });
  const waiting = openGated(20_000);
  const told = expect(waiting.pool.query('select 1')).rejects.toMatchObject({ code: '57P03' });
  waiting.gate.refuse();
  await told;
  await expect(waiting.pool.connect()).rejects.toBeInstanceOf(pg.DatabaseError);
  waiting.gate.open(inject('adminUrl'));
  expect(await nameOf(waiting.pool)).toBe('77MB');
});
