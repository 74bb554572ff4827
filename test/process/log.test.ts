import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { duplicateName } from '../../src/lib/duplicate-names.ts';
import { type LogFormat, openLog } from '../../src/process/log.ts';

/** The lines that the log of a server writes meanwhile. */
function linesOf(work: (log: Logger) => void, format?: LogFormat): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'metrology-log-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const descriptor = openSync(join(folder, 'log'), 'w');
  work(openLog('info', descriptor, format));
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

test('people read a line as text, and all of its fields', () => {
  const lines = linesOf((log) => log.warn({ request_id: 'a-1', key_id: 7 }, 'refused'), 'text');
  expect(lines[0]).toMatch(/^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\] WARN: refused$/);
  expect(lines.slice(1).map((line) => line.trim())).toEqual(['request_id: "a-1"', 'key_id: 7']);
});

test('a file that nobody looks at is written as JSON unless text is asked for', () => {
  for (const format of ['auto', 'json', undefined] as const) {
    expect(linesOf((log) => log.info('plain'), format).map((line) => JSON.parse(line))).toMatchObject([
      { msg: 'plain' },
    ]);
  }
});

test('on a terminal a line is text', async () => {
  // A terminal whose name is said first, and what is written to it then.
  const terminal = `
import os, pty
master, slave = pty.openpty()
print(os.ttyname(slave), flush=True)
seen = b""
while b"key_id" not in seen: seen += os.read(master, 4096)
print(seen.decode(), flush=True)`;
  const child = spawn('python3', ['-c', terminal], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill());
  let said = '';
  child.stdout.on('data', (data) => {
    said += data;
  });
  await expect.poll(() => said, { timeout: 20_000 }).toContain('\n');
  const descriptor = openSync(said.trim(), 'w');
  openLog('info', descriptor, 'auto').info({ key_id: 7 }, 'answered');
  await expect.poll(() => said, { timeout: 20_000 }).toContain('key_id');
  closeSync(descriptor);
  expect(said).toMatch(/INFO.*answered/);
  expect(said).not.toContain('"msg"');
});
