import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { buildServer, isRunning, type Server, serve, servingPids } from '../support/built-server.ts';
import { holdSocket } from './support/held-socket.ts';

/*
 * Whoever serves ends when the process is killed that has started it, at whatever moment: on a held socket one that stays
 * would take connections beside the next server, and have no database to serve them with.
 */

let built: Awaited<ReturnType<typeof buildServer>>;
beforeAll(async () => {
  built = await buildServer();
}, 60_000);
afterAll(() => built?.remove());

async function startServer(): Promise<Server> {
  const folder = await mkdtemp(join(tmpdir(), 'metrology-orphans-'));
  const held = await holdSocket();
  onTestFinished(async () => {
    held.close();
    await rm(folder, { recursive: true, force: true });
  });
  const settings = { DATA_DIR: join(folder, 'data'), BOOTSTRAP_API_KEY: 'a-key-for-the-orphans', LOG_LEVEL: 'fatal' };
  return serve(built.folder, settings, { socket: held.fd });
}

/** The process that comes in the place of one that was killed, as soon as it is there. */
async function successorOf(server: Server, pid: number): Promise<number> {
  for (;;) {
    const other = servingPids(server).find((one) => one !== pid);
    if (other !== undefined) return other;
    if (server.child.exitCode !== null) throw new Error(`the server has ended: ${server.stderr()}`);
    await sleep(1);
  }
}

/** One that dies before it has served for the first time is not replaced: then the start has failed. */
const untilReady = ({ endpoint }: Server) =>
  expect.poll(async () => (await fetch(`${endpoint}/readyz`)).status, { timeout: 60_000 }).toBe(200);

test.each([
  ['when it has only just been started', 0],
  ['while it loads its program', 100],
  ['while it comes up', 600],
])('%s', { timeout: 120_000 }, async (_, waitMs) => {
  const server = await startServer();
  await untilReady(server);
  const [serving] = servingPids(server) as [number];
  // One that ended soon after its start is replaced after a pause.
  process.kill(serving, 'SIGKILL');
  const successor = await successorOf(server, serving);
  await sleep(waitMs);
  server.child.kill('SIGKILL');
  onTestFinished(() => {
    if (isRunning(successor)) process.kill(successor, 'SIGKILL');
  });
  await expect.poll(() => isRunning(successor), { timeout: 30_000 }).toBe(false);
});
