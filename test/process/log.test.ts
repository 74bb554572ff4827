import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { duplicateName } from '../../src/lib/duplicate-names.ts';
import { openLog } from '../../src/process/log.ts';

/** The lines that the log of a server writes meanwhile. */
function linesOf(work: (log: Logger) => void): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'metrology-log-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const descriptor = openSync(join(folder, 'log'), 'w');
  work(openLog('info', descriptor));
  closeSync(descriptor);
  return readFileSync(join(folder, 'log'), 'utf8').trim().split('\n');
}

test('a field that has the name of one of the log itself stands beside it, so that no line has a name twice', () => {
  const lines = linesOf((log) => {
    log.info({ pid: 4711, hostname: 'other', level: 'x', time: 'then', port: 1 }, 'PostgreSQL is back');
    log.child({ reqId: 'a' }).warn({ pid: 4711 }, 'again');
    log.info('plain');
    log.error(new Error('broken'));
  });
  for (const line of lines) expect([line, duplicateName(line, JSON.parse(line))]).toEqual([line, undefined]);
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { pid_: 4711, hostname_: 'other', level_: 'x', time_: 'then', port: 1, level: 30, pid: process.pid },
    { pid_: 4711, reqId: 'a', msg: 'again', pid: process.pid },
    { msg: 'plain', pid: process.pid },
    { err: { message: 'broken' }, pid: process.pid },
  ]);
});
