import { Writable } from 'node:stream';
import { pino } from 'pino';
import { expect, inject, onTestFinished, test } from 'vitest';
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
