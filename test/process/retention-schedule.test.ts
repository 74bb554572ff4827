import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, onTestFinished, test, vi } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { processLimits } from '../../src/process/limits.ts';
import { scheduleRetention } from '../../src/process/retention-schedule.ts';
import { serve } from '../../src/process/serve.ts';

/** A program in the place of the command line, and what is logged of it. */
function schedule(program: string, everyMs: number, limits: Partial<typeof processLimits> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'metrology-schedule-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'program.cjs');
  writeFileSync(path, program);
  const logged: Record<string, unknown>[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void logged.push(JSON.parse(line)) });
  const schedule = scheduleRetention({
    everyMs,
    program: path,
    environment: { ...process.env, CALLS: join(folder, 'calls') },
    log,
    limits: { ...processLimits, retentionFirstMs: 1, ...limits },
  });
  onTestFinished(() => schedule.close());
  const calls = () => readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n');
  return { logged, calls, close: schedule.close };
}

const noteCall = `require('node:fs').appendFileSync(process.env.CALLS, process.argv.slice(2).join(' ') + '\\n');`;

test('calls the command again and again, and logs what became of runs and what failed', async () => {
  const { logged, calls } = schedule(
    `${noteCall}
     console.log(JSON.stringify({ dataId: 'one', became: 'removed', path: '/archive/one' }));
     console.log(JSON.stringify({ dataId: 'two', became: 'failed', problem: 'no luck' }));
     console.log(JSON.stringify({ applied: true, removed: 1 }));
     console.error('the reason'); process.exitCode = 1;`,
    1,
  );
  await vi.waitFor(() => expect(calls().length).toBeGreaterThan(1), { timeout: 20_000 });
  expect(calls()[0]).toBe('retention --apply --json --scheduled');
  await vi.waitFor(() => expect(logged.length).toBeGreaterThanOrEqual(4), { timeout: 20_000 });
  expect(logged.slice(0, 4)).toMatchObject([
    { level: 30, dataId: 'one', path: '/archive/one', msg: 'archived and removed a run' },
    { level: 50, dataId: 'two', problem: 'no luck', msg: 'a run could not be archived and stays' },
    { level: 30, removed: 1, msg: 'retention is done' },
    { level: 50, code: 1, said: ['the reason'], msg: 'retention has failed, in part or as a whole' },
  ]);
});

test('ends a call that is under way in order, and after shutdownMsMax at all costs', async () => {
  const hangs = `process.on('SIGTERM', () => {}); ${noteCall} setInterval(() => {}, 1000);`;
  const { calls, close } = schedule(hangs, 1, { shutdownMsMax: 50 });
  await vi.waitFor(() => expect(calls()).toHaveLength(1), { timeout: 20_000 });
  await close();
});

test('a wait that is longer than a timer is made of several', async () => {
  const { calls, close } = schedule(noteCall, 3_600_000, { retentionFirstMs: 50, retentionTimerMsMax: 10 });
  await vi.waitFor(() => expect(calls()).toHaveLength(1), { timeout: 20_000 });
  await close();
  expect(calls()).toHaveLength(1);
});

test('a server with RETENTION_EVERY and without rules or a folder does not start', async () => {
  await expect(serve(readConfig({ RETENTION_EVERY: '24h', RETENTION_DIR: '/archive' }), {})).rejects.toThrow(
    'RETENTION_EVERY needs RETENTION_FILE and RETENTION_DIR',
  );
});
