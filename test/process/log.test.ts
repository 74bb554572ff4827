import { execFileSync, spawn } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { describe, expect, onTestFinished, test } from 'vitest';
import { duplicateName } from '../../src/lib/duplicate-names.ts';
import { type LogFormat, openLog } from '../../src/process/log.ts';

/** The lines that the log of a server writes meanwhile. */
async function linesOf(work: (log: Logger) => void, format?: LogFormat): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'metrology-log-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const descriptor = openSync(join(folder, 'log'), 'w');
  const log = openLog('info', descriptor, format);
  work(log);
  log.info('the end');
  const lines = () => readFileSync(join(folder, 'log'), 'utf8').trim().split('\n');
  await expect.poll(() => lines().at(-1)).toContain('the end');
  closeSync(descriptor);
  return lines().slice(0, -1);
}

test('a field that has the name of one of the log itself stands beside it, so that no line has a name twice', async () => {
  const lines = await linesOf((log) => {
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

test('people read a line as text, and all of its fields', async () => {
  const lines = await linesOf((log) => log.warn({ request_id: 'a-1', key_id: 7 }, 'refused'), 'text');
  expect(lines[0]).toMatch(/^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\] WARN: refused$/);
  expect(lines.slice(1).map((line) => line.trim())).toEqual(['request_id: "a-1"', 'key_id: 7']);
});

test('a file that nobody looks at is written as JSON unless text is asked for', async () => {
  for (const format of ['auto', 'json', undefined] as const) {
    const lines = await linesOf((log) => log.info('plain'), format);
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ msg: 'plain' }]);
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

describe('a log that nobody reads', () => {
  /** A pipe with a reader that does not read before it is told. */
  function pipe() {
    const folder = mkdtempSync(join(tmpdir(), 'metrology-log-'));
    const path = join(folder, 'pipe');
    execFileSync('mkfifo', [path]);
    const reader = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    const descriptor = openSync(path, 'w');
    onTestFinished(() => {
      for (const one of [reader, descriptor]) closeSync(one);
      rmSync(folder, { recursive: true });
    });
    let text = '';
    const read = () => {
      const bytes = Buffer.alloc(65_536);
      try {
        text += bytes.toString('utf8', 0, readSync(reader, bytes));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      }
      return text;
    };
    return { descriptor, read };
  }

  test.each(['json', 'text'] as const)(
    'holds up nothing; lines are dropped, and counted when it is read again: %s',
    async (format) => {
      const { descriptor, read } = pipe();
      const bytesMax = 200_000;
      const log = openLog('info', descriptor, format, { logBytesMax: bytesMax });
      const count = 5_000;
      const startMs = performance.now();
      for (let i = 0; i < count; i++) {
        log.info(`line ${i} ${'x'.repeat(100)}`);
        if (i % 100 === 0) await sleep(1);
      }
      expect(performance.now() - startMs).toBeLessThan(5_000);
      let text = '';
      while (!text.includes('were dropped')) {
        text = read();
        await sleep(1);
      }
      const lines = text.split('\n').filter((line) => line.includes('line '));
      const dropped = Number(/dropped"?: ?(\d+)/.exec(text)?.[1]);
      expect(dropped).toBeGreaterThan(0);
      expect(lines.length + dropped).toBe(count);
      expect(text).toContain(`logBytesMax, ${bytesMax}`);
      // Those that waited are the oldest, in order and whole.
      for (const [i, line] of lines.entries()) expect(line).toContain(`line ${i} ${'x'.repeat(100)}`);
    },
  );
});
