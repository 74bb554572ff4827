import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { buildServer, serve } from '../support/built-server.ts';

/* A process whose log is not read: its terminal is paused (Ctrl-S) or closed, or the program behind its pipe hangs. */

let built: Awaited<ReturnType<typeof buildServer>>;
beforeAll(async () => {
  built = await buildServer();
}, 60_000);
afterAll(() => built?.remove());

/** A pipe that nobody reads. */
async function unreadPipe() {
  const folder = await mkdtemp(join(tmpdir(), 'metrology-unread-'));
  const pipe = join(folder, 'log');
  execFileSync('mkfifo', [pipe]);
  const reader = openSync(pipe, 'r+');
  onTestFinished(async () => {
    closeSync(reader);
    await rm(folder, { recursive: true, force: true });
  });
  return { folder, pipe };
}

test('a server serves on, and stops in order', { timeout: 120_000 }, async () => {
  const { folder, pipe } = await unreadPipe();
  const key = 'a-key-for-the-log';
  const settings = { DATA_DIR: join(folder, 'data'), BOOTSTRAP_API_KEY: key };
  const server = await serve(built.folder, settings, { before: ['sh', '-c', 'exec "$@" 2>"$0"', pipe] });
  onTestFinished(() => void server.child.kill('SIGKILL'));
  // Their lines take more than the 64 KiB that a pipe holds.
  const headers = { 'x-api-key': key, 'x-request-id': 'r'.repeat(100) };
  for (let i = 0; i < 1_000; i++) {
    const signal = AbortSignal.timeout(10_000);
    expect((await fetch(`${server.endpoint}/data_entries/`, { headers, signal })).status).toBe(200);
  }
  expect((await fetch(`${server.endpoint}/readyz`)).status).toBe(200);
  server.child.kill('SIGTERM');
  await expect.poll(() => server.child.exitCode, { timeout: 20_000 }).toBe(0);
});

describe('a process that exits right after its last lines', () => {
  const program = (lineCount = 200) => [
    process.execPath,
    '--input-type=module',
    '--eval',
    `import { openLog } from ${JSON.stringify(join(built.folder, 'dist/process/log.js'))};
    const log = openLog('info', 2, 'auto');
    for (let i = 0; i < ${lineCount}; i++) log.info('line ' + i + ' of the log ' + 'x'.repeat(1_000));
    process.exit(3);`,
  ];
  /** How it ends, with its log in the given file. */
  async function endOf([file, ...args]: string[], log: 'ignore' | 'pipe' | number) {
    const child = spawn(file as string, args, { stdio: ['ignore', 'ignore', log] });
    onTestFinished(() => void child.kill('SIGKILL'));
    let text = '';
    child.stderr?.setEncoding('utf8').on('data', (more) => {
      text += more;
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
    const [code] = await once(child, 'close');
    clearTimeout(timer);
    return { code, text };
  }

  test('writes all of them, in order', async () => {
    const { code, text } = await endOf(program(), 'pipe');
    expect(code).toBe(3);
    const numbers = [...text.matchAll(/line (\d+) of the log/g)].map(([, number]) => Number(number));
    expect(numbers).toEqual(Array.from({ length: 200 }, (_, i) => i));
  });

  test('exits when its pipe is full', async () => {
    const { pipe } = await unreadPipe();
    const log = openSync(pipe, 'w');
    onTestFinished(() => closeSync(log));
    const filling = openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK);
    expect(() => {
      for (;;) writeSync(filling, Buffer.alloc(4_096));
    }).toThrow('EAGAIN');
    closeSync(filling);
    expect((await endOf(program(), log)).code).toBe(3);
  });

  test('exits when nobody reads its socket, such as that of journald', async () => {
    const unread = `
import socket, subprocess, sys
here, there = socket.socketpair()
sys.exit(subprocess.call(sys.argv[1:], stderr=there))`;
    expect((await endOf(['python3', '-c', unread, ...program(2_000)], 'ignore')).code).toBe(3);
  });

  test('exits when its terminal is paused', async () => {
    const paused = `
import pty, subprocess, sys, termios
master, slave = pty.openpty()
termios.tcflow(slave, termios.TCOOFF)
sys.exit(subprocess.call(sys.argv[1:], stderr=slave))`;
    expect((await endOf(['python3', '-c', paused, ...program()], 'ignore')).code).toBe(3);
  });

  test('exits when its terminal was closed', async () => {
    const closed = `
import os, pty, subprocess, sys
master, slave = pty.openpty()
child = subprocess.Popen(sys.argv[1:], stderr=slave)
os.close(slave)
os.close(master)
sys.exit(child.wait())`;
    // Node 20 itself sometimes crashes when it gives back a terminal that was closed. What counts is that it ends.
    expect((await endOf(['python3', '-c', closed, ...program()], 'ignore')).code).not.toBeNull();
  });
});
