import { execFileSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { buildServer, serve } from '../support/built-server.ts';

/* A server whose log is not read: its terminal is paused (Ctrl-S), or the program behind its pipe hangs. */

let built: Awaited<ReturnType<typeof buildServer>>;
beforeAll(async () => {
  built = await buildServer();
}, 60_000);
afterAll(() => built?.remove());

test('it serves on, and stops in order', { timeout: 120_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'metrology-unread-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const pipe = join(folder, 'log');
  execFileSync('mkfifo', [pipe]);
  const reader = openSync(pipe, 'r+');
  onTestFinished(() => closeSync(reader));
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
