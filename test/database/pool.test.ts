import { randomBytes } from 'node:crypto';
import { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { beforeEach, describe, expect, inject, onTestFinished, test } from 'vitest';
import { openPool } from '../../src/database/pool.ts';
import { routeTo } from '../../src/database/route.ts';
import { administer } from '../support/global-setup.ts';

const bounds = {
  statementMsMax: 10_000,
  answerMsMax: 1_000,
  waitMsMax: 10_000,
  sessionMsMax: 5_000,
  fullPauseMs: 50,
  fullKeepMs: 500,
};

test('an idle connection that is lost is told without the client, whose keys are nothing for a log', async () => {
  let logged = '';
  const write = (line: Buffer, _encoding: string, done: () => void) => {
    logged += line;
    done();
  };
  const log = pino(new Writable({ write }));
  const onIdleError = (error: Error) => log.warn({ err: error }, 'lost');
  const pool = openPool(routeTo(inject('adminUrl')), { ...bounds, onIdleError }, { max: 1 });
  onTestFinished(() => pool.end());
  const { rows } = await pool.query('select pg_backend_pid() as pid');
  await administer(inject('adminUrl'), `select pg_terminate_backend(${rows[0].pid})`);
  await expect.poll(() => logged).toContain('lost');
  expect(logged).not.toMatch(/secretKey|"client"|password/);
  expect(Buffer.byteLength(logged)).toBeLessThan(1_500);
});

test('a connection that its role may not make is refused with a sentence, not left under another role', async () => {
  const pool = openPool(
    routeTo(inject('adminUrl')),
    { ...bounds, role: 'nobody_knows', onIdleError: () => {} },
    { max: 1 },
  );
  onTestFinished(() => pool.end());
  await expect(pool.query('select 1')).rejects.toThrow('The server cannot take the roles');
});

describe('while PostgreSQL has no connection left and the pool has none', () => {
  const full = { code: '53300' };
  let login: string;
  beforeEach(async () => {
    login = `crowded_${randomBytes(6).toString('hex')}`;
    await administer(inject('adminUrl'), `create role ${login} login password '${login}' connection limit 0`);
    onTestFinished(() => administer(inject('adminUrl'), `drop role ${login}`));
  });
  const makeRoom = () => administer(inject('adminUrl'), `alter role ${login} connection limit 5`);
  function openCrowded(more: { starvedMsMax?: number }) {
    const url = new URL(inject('adminUrl'));
    // Two ways to connect, so that the one that works is looked for first.
    url.searchParams.set('sslmode', 'prefer');
    Object.assign(url, { username: login, password: login });
    const pool = openPool(routeTo(url.href), { ...bounds, ...more, onIdleError: () => {} }, { max: 2 });
    onTestFinished(() => pool.end());
    return pool;
  }
  const msOf = async (waited: Promise<unknown>) => {
    const start = performance.now();
    await waited;
    return performance.now() - start;
  };

  test('those who wait are refused after starvedMsMax, later ones at once, and none when there is room again', async () => {
    const pool = openCrowded({ starvedMsMax: 600 });
    const first = ['select 1', 'select 2', 'select 3'].map((text) =>
      expect(pool.query(text)).rejects.toMatchObject(full),
    );
    const waitedMs = await msOf(Promise.all(first));
    expect(waitedMs).toBeGreaterThanOrEqual(600);
    expect(waitedMs).toBeLessThan(3_000);
    expect(await msOf(expect(pool.query('select 4')).rejects.toMatchObject(full))).toBeLessThan(500);
    await makeRoom();
    expect((await pool.query('select 5 as five')).rows).toEqual([{ five: 5 }]);
  });

  test('without starvedMsMax they wait for room', async () => {
    const pool = openCrowded({});
    const waiting = pool.query('select 1 as one');
    await sleep(1_500);
    await makeRoom();
    expect((await waiting).rows).toEqual([{ one: 1 }]);
  });
});
