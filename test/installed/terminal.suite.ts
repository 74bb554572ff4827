import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { readPostmasterFile } from '../../src/database/embedded/processes.ts';
import { buildServer, isRunning, run, serve } from '../support/built-server.ts';

/* Ends of a server that nobody has planned. */

const program = fileURLToPath(new URL('./support/close_terminal.py', import.meta.url));
let built: Awaited<ReturnType<typeof buildServer>>;
beforeAll(async () => {
  built = await buildServer();
}, 60_000);
afterAll(() => built?.remove());

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'metrology-terminal-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return join(folder, 'data');
}

const wait = { timeout: 90_000 };

test.each([
  ['node', ['node', 'dist/main.js'], 0],
  ['npm start', ['npm', 'start'], undefined],
  ['a shell', ['sh', '-c', 'node dist/main.js; true'], undefined],
])('a closed terminal ends it in order, and its PostgreSQL: %s', wait, async (_name, command, code) => {
  const dataDir = await newFolder();
  const { stdout } = await promisify(execFile)('python3', [program, 'timeseries_data)', ...command], {
    cwd: built.folder,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, PORT: '0', DATA_DIR: dataDir },
  });
  if (code !== undefined) expect(JSON.parse(stdout)).toEqual({ code });
  // What the command has started may end after it.
  await expect.poll(() => readPostmasterFile(join(dataDir, 'postgres')), { timeout: 30_000 }).toBeUndefined();
  await untilShutDown(dataDir);
});

test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
  '%s to the process itself ends it in order',
  wait,
  async (signal) => {
    const server = await serve(built.folder, { DATA_DIR: await newFolder() });
    const postgres = readPostmasterFile(server.place)?.pid as number;
    server.child.kill(signal);
    expect(await server.exit()).toMatchObject({ code: 0 });
    expect(isRunning(postgres)).toBe(false);
  },
);

test('SIGTERM to npm start ends the server in order', wait, async () => {
  const dataDir = await newFolder();
  const { spawn } = await import('node:child_process');
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, PORT: '0', DATA_DIR: dataDir };
  const npm = spawn('npm', ['start'], { cwd: built.folder, env, stdio: ['ignore', 'pipe', 'ignore'] });
  let said = '';
  npm.stdout.on('data', (text) => {
    said += text;
  });
  await expect.poll(() => said, { timeout: 60_000 }).toContain('timeseries_data)');
  npm.kill('SIGTERM');
  await expect.poll(() => readPostmasterFile(join(dataDir, 'postgres')), { timeout: 30_000 }).toBeUndefined();
  await untilShutDown(dataDir);
});

/** PostgreSQL writes its last line when its file has gone. */
async function untilShutDown(dataDir: string): Promise<void> {
  const log = () => readFileSync(join(dataDir, 'postgres.log'), 'utf8');
  await expect.poll(log, { timeout: 10_000 }).toMatch(/database system is shut down\s*$/);
}

test('a folder below /proc is refused at once', async () => {
  const program = run(built.folder, 'main.js', [], { PORT: '0', DATA_DIR: '/proc/metrology/data' });
  expect(await program.exit()).toMatchObject({ code: 1 });
  expect(program.stderr()).toMatch(/DATA_DIR \/proc\/metrology\/data cannot be used/);
});

test('HOST as conda exports it is named in the error', async () => {
  const settings = { PORT: '0', HOST: 'x86_64-conda-linux-gnu', DATA_DIR: await newFolder() };
  const program = run(built.folder, 'main.js', [], settings);
  expect(await program.exit()).toMatchObject({ code: 1 });
  expect(program.stderr()).toMatch(/HOST is x86_64-conda-linux-gnu, which is no address of this machine/);
});
