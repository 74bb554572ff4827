import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { runningEmbeddedPostgres } from '../../src/database/embedded.ts';
import * as support from './support/embedded.ts';

const { childrenOf, eventually, isReady, isRefused, isThere, killServer, postmasterPid, query, says } = support;
vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 });

const { start, folder, madeFolder, close } = await support.openWorkshop();
afterAll(close);

/** A server on a folder of its own, whose database holds one row. */
async function startWithRow() {
  const dataDir = madeFolder();
  const server = start(dataDir);
  const ready = await server.line(isReady);
  return { dataDir, server, ready };
}

/** The postmaster first: otherwise it would make new backends for those that are killed. */
function killAll(postmaster: number): void {
  const children = childrenOf(postmaster);
  process.kill(postmaster, 'SIGKILL');
  for (const child of children) if (isThere(child)) process.kill(child, 'SIGKILL');
}

const readRow = (line: support.Line) => query(line.connectionString, 'select n from kept');

describe.concurrent('when PostgreSQL dies', () => {
  it('by kill -9 of the postmaster, it is back at the same address, and a busy old backend is told to quit', async () => {
    const { dataDir, server, ready } = await startWithRow();
    const pid = postmasterPid(dataDir);
    // Busy without waiting: such a backend does not notice that its postmaster is gone.
    const busy = query(
      ready.connectionString,
      'select count(*) from generate_series(1, 100000) a, generate_series(1, 100000) b',
    );
    const cut = busy.catch((error: Error) => error);
    await eventually(async () => {
      const [row] = await query(
        ready.connectionString,
        `select count(*)::int as n from pg_stat_activity where query like 'select count(*) from gen%'`,
      );
      expect(row?.n).toBe(1);
    });
    process.kill(pid, 'SIGKILL');
    await server.line(says(/PostgreSQL is back/));
    expect(await cut).toBeInstanceOf(Error);
    expect(postmasterPid(dataDir)).not.toBe(pid);
    expect(await readRow(ready)).toEqual([{ n: 42 }]);
    expect(server.lines.filter((line) => line.level === 'error').map((line) => line.message)).toEqual([
      'PostgreSQL has died; starting it again',
    ]);
    await server.stop();
  });

  it('by kill -9 of all its processes, again and again, nothing that was committed is lost, and it is back soon every time', {
    timeout: 90_000,
  }, async () => {
    const { dataDir, server, ready } = await startWithRow();
    const rounds = 7;
    for (let round = 1; round <= rounds; round++) {
      await eventually(() => query(ready.connectionString, `insert into kept values (${round})`));
      const pid = postmasterPid(dataDir);
      killAll(pid);
      const killedAt = performance.now();
      await eventually(() => expect(server.lines.filter(says(/PostgreSQL is back/))).toHaveLength(round));
      expect(performance.now() - killedAt).toBeLessThan(10_000);
    }
    const rows = await query(ready.connectionString, 'select n from kept order by n');
    expect(rows.map(({ n }) => n)).toEqual([1, 2, 3, 4, 5, 6, 7, 42]);
    await server.stop();
  });

  it('and its port is taken meanwhile, it waits for the port; the connection string stays good', async () => {
    const { dataDir, server, ready } = await startWithRow();
    process.kill(postmasterPid(dataDir), 'SIGSTOP');
    // A stopped postmaster keeps its port, so the thief comes in right after its death.
    process.kill(postmasterPid(dataDir), 'SIGKILL');
    const thief = createServer();
    const stolen = await new Promise<boolean>((resolve) => {
      const attempt = () => thief.listen({ port: ready.port, host: '127.0.0.1' });
      thief.on('listening', () => resolve(true));
      thief.on('error', () => (server.lines.some(says(/is back/)) ? resolve(false) : setTimeout(attempt, 1)));
      attempt();
    });
    if (stolen) await server.line(says(/could not be started again/));
    thief.close();
    await server.line(says(/PostgreSQL is back/));
    expect(await readRow(ready)).toEqual([{ n: 42 }]);
    expect(stolen).toBe(true);
    await server.stop();
  });

  it('and cannot start any more, it is tried ever more rarely, and stopping does not wait for that', async () => {
    const { dataDir, server } = await startWithRow();
    const control = join(dataDir, 'postgres', 'global', 'pg_control');
    renameSync(control, `${control}.away`);
    process.kill(postmasterPid(dataDir), 'SIGKILL');
    const died = Date.now();
    const failures = () => server.lines.filter(says(/could not be started again/));
    await eventually(() => expect(failures()).toHaveLength(5));
    expect(Date.now() - died).toBeGreaterThan(3_500);
    expect(failures()[0]?.error).toContain('pg_control');
    // The pause before the sixth attempt is five seconds.
    const before = Date.now();
    await server.stop();
    expect(Date.now() - before).toBeLessThan(4_500);
    expect(failures()).toHaveLength(5);
  });

  it('stop() of one that does not answer comes to an end', async () => {
    const dataDir = madeFolder();
    const server = start(dataDir, { embedded: { stopWaitMsMax: 300 } });
    await server.line(isReady);
    const pid = postmasterPid(dataDir);
    process.kill(pid, 'SIGSTOP');
    await server.stop();
    expect(isThere(pid)).toBe(false);
    expect(server.lines.some(says(/stopped by force/))).toBe(true);
    const again = start(dataDir);
    await again.line(isReady);
    await again.stop();
  });
});

describe.concurrent('when the server dies', () => {
  it('by Ctrl-C or kill -9, its PostgreSQL lives on, and the next start stops it and just works', async () => {
    const { dataDir, ready } = await (async () => {
      const at = madeFolder();
      const server = start(at, { detached: true });
      const line = await server.line(isReady);
      // As a terminal does it: to the whole process group.
      process.kill(-(server.child.pid ?? 0), 'SIGINT');
      await server.ended;
      return { dataDir: at, ready: line };
    })();
    const orphan = postmasterPid(dataDir);
    expect(await readRow(ready)).toEqual([{ n: 42 }]);
    expect(await runningEmbeddedPostgres(dataDir)).toBe(ready.connectionString);

    const second = start(dataDir);
    const again = await second.line(isReady);
    expect(second.lines.filter(says(/left from a server that was killed/))).toHaveLength(1);
    expect(isThere(orphan)).toBe(false);
    expect(await readRow(again)).toEqual([{ n: 42 }]);

    await killServer(second);
    const third = start(dataDir);
    expect(await readRow(await third.line(isReady))).toEqual([{ n: 42 }]);
    // The new one is watched like the first.
    process.kill(postmasterPid(dataDir), 'SIGKILL');
    await third.line(says(/PostgreSQL is back/));
    await third.stop();
  });

  it('together with PostgreSQL, and the process id is that of another process by now, the next start works', async () => {
    const { dataDir, server } = await startWithRow();
    const pid = postmasterPid(dataDir);
    server.child.kill('SIGKILL');
    killAll(pid);
    await server.ended;
    await eventually(() => expect(isThere(pid)).toBe(false));
    const stranger = spawn('sleep', ['60']);
    const file = join(dataDir, 'postgres', 'postmaster.pid');
    writeFileSync(file, readFileSync(file, 'utf8').replace(/^\d+/, String(stranger.pid)));
    const again = start(dataDir);
    expect(await readRow(await again.line(isReady))).toEqual([{ n: 42 }]);
    expect(isThere(stranger.pid ?? 0)).toBe(true);
    stranger.kill();
    await again.stop();
  });

  it('together with a PostgreSQL that had just made its pid file and not written it, the next start works', async () => {
    const { dataDir, server } = await startWithRow();
    await server.stop();
    writeFileSync(join(dataDir, 'postgres', 'postmaster.pid'), '');
    const again = start(dataDir);
    expect(await readRow(await again.line(isReady))).toEqual([{ n: 42 }]);
    await again.stop();
  });

  it('while a backend is busy: the next start waits for it and does not end with "shared memory block"', async () => {
    const { dataDir, server, ready } = await startWithRow();
    const busy = query(
      ready.connectionString,
      'select count(*) from generate_series(1, 100000) a, generate_series(1, 100000) b',
    ).catch(() => 'cut');
    await sleep(100);
    server.child.kill('SIGKILL');
    process.kill(postmasterPid(dataDir), 'SIGKILL');
    await server.ended;
    const again = start(dataDir);
    expect(await readRow(await again.line(isReady))).toEqual([{ n: 42 }]);
    expect(await busy).toBe('cut');
    await again.stop();
  });
});

describe.concurrent('the lock on DATA_DIR', () => {
  it('keeps a second server out with its folder and process id, and a command finds the running database', async () => {
    const dataDir = folder();
    expect(await runningEmbeddedPostgres(dataDir)).toBeUndefined();
    const server = start(dataDir);
    const ready = await server.line(isReady);
    const refused = await start(dataDir).line(isRefused);
    expect(refused.message).toContain(`DATA_DIR ${dataDir} is in use`);
    expect(refused.message).toContain(`process id ${server.child.pid}`);
    const found = start(dataDir, { find: true });
    expect((await found.line((line) => line.kind === 'found')).connectionString).toBe(ready.connectionString);
    expect(await query(ready.connectionString, 'select 1 as n')).toEqual([{ n: 1 }]);
    await server.stop();
    expect(await runningEmbeddedPostgres(dataDir)).toBeUndefined();
    expect(readdirSync(dataDir).filter((name) => name.endsWith('.lock'))).toEqual([]);
  });

  it('lets exactly one of several in that come at once', async () => {
    const dataDir = folder();
    const servers = Array.from({ length: 5 }, () => start(dataDir));
    const lines = await Promise.all(servers.map((server) => server.line((line) => isReady(line) || isRefused(line))));
    expect(lines.map((line) => line.kind).sort()).toEqual(['ready', 'refused', 'refused', 'refused', 'refused']);
    for (const line of lines.filter(isRefused)) expect(line.message).toContain(`DATA_DIR ${dataDir} is in use`);
    await Promise.all(servers.map((server) => server.stop()));
  });

  it('is void when its holder is gone, even if the process id lives, and holds over containers while renewed', async () => {
    const dataDir = madeFolder();
    const server = start(dataDir);
    await server.line(isReady);
    const [name = ''] = readdirSync(dataDir).filter((each) => each.endsWith('.lock'));
    const [, , birth, machine] = name.split(/[-.]/);
    await server.stop();
    const reused = join(dataDir, `server-${process.pid}-${birth}-${machine}.lock`);
    writeFileSync(reused, '');
    const second = start(dataDir);
    await second.line(isReady);
    expect(existsSync(reused)).toBe(false);
    await second.stop();

    const foreign = join(dataDir, `server-1-77-0123456789ab.lock`);
    writeFileSync(foreign, '');
    const renewal = setInterval(() => utimesSync(foreign, new Date(), new Date()), 300);
    expect((await start(dataDir).line(isRefused)).message).toContain('process id 1:');
    clearInterval(renewal);
    // Nobody renews it any more.
    const third = start(dataDir);
    await third.line(isReady);
    expect(existsSync(foreign)).toBe(false);
    await third.stop();
  });

  it('says which folder it cannot use', async () => {
    const file = join(folder(), '..', 'file');
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, '');
    expect((await start(join(file, 'data')).line(isRefused)).message).toContain(file);
  });
});
