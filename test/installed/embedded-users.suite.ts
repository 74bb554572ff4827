import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import * as support from './support/embedded.ts';

const { eventually, isReady, isRefused, postmasterPid, query, says } = support;
vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 });

/** What these tests need cannot be had by everyone; a skipped test carries the reason in its name. */
const needsRoot = process.getuid?.() === 0 ? '' : ' (skipped: needs root, to become somebody else)';
const needsNamespace = needsRoot || (works('unshare', ['--user', 'true']) ? '' : ' (skipped: unshare is refused here)');
const needsUserAdd = needsRoot || (works('useradd', ['--help']) ? '' : ' (skipped: there is no useradd)');

let workshop: support.Workshop;
/** A folder that every user may enter, as /var/lib is. */
let open: string;
/** A search path whose unshare says what it says where user namespaces are forbidden. */
let withoutUnshare: string;
const accounts: string[] = [];

function works(command: string, args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

beforeAll(async () => {
  workshop = await support.openWorkshop();
  open = mkdtempSync(join(tmpdir(), 'embedded-open-'));
  chmodSync(open, 0o755);
  const bin = join(open, 'bin');
  mkdirSync(bin);
  writeFileSync(
    join(bin, 'unshare'),
    '#!/bin/sh\necho "unshare: unshare failed: Operation not permitted" >&2\nexit 1\n',
  );
  chmodSync(join(bin, 'unshare'), 0o755);
  withoutUnshare = [bin, process.env.PATH].join(delimiter);
});

afterAll(async () => {
  await workshop.close();
  rmSync(open, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  for (const name of accounts) execFileSync('userdel', [name]);
});

/** An installation that everyone may read. */
function openInstallation(): string {
  const installation = join(open, 'installation');
  execFileSync('cp', ['-al', workshop.installation, installation]);
  return installation;
}

const userOf = (pid: number) => statSync(`/proc/${pid}`).uid;
const pathsOwnedByOthers = (folder: string, uid: number) =>
  readdirSync(folder, { recursive: true }).filter((name) => statSync(join(folder, String(name))).uid !== uid);

describe('an ordinary user', () => {
  it.skipIf(needsUserAdd)(`runs it directly, from a home that nobody else enters${needsUserAdd}`, async () => {
    const name = `embedded${process.pid}`;
    execFileSync('useradd', ['--no-create-home', '--shell', '/bin/false', name]);
    accounts.push(name);
    const [uid, gid] = ['-u', '-g'].map((which) => Number(execFileSync('id', [which, name], { encoding: 'utf8' })));
    const home = join(open, 'home');
    cpSync(workshop.installation, join(home, 'installation'), { recursive: true, verbatimSymlinks: true });
    execFileSync('chown', ['-R', `${uid}:${gid}`, home]);
    chmodSync(home, 0o700);

    const dataDir = join(home, 'data');
    const as = { uid: uid ?? 0, gid: gid ?? 0 };
    const server = workshop.start(dataDir, as, join(home, 'installation'));
    const ready = await server.line(isReady);
    await query(ready.connectionString, 'create table kept as select 42 as n');
    expect(userOf(postmasterPid(dataDir))).toBe(uid);
    expect(pathsOwnedByOthers(dataDir, as.uid)).toEqual([]);
    await support.killServer(server);
    process.kill(postmasterPid(dataDir), 'SIGKILL');

    const second = workshop.start(dataDir, as, join(home, 'installation'));
    expect(await query((await second.line(isReady)).connectionString, 'select n from kept')).toEqual([{ n: 42 }]);
    await second.stop();

    // A stranger is told so, in a sentence.
    const stranger = { uid: (uid ?? 0) + 1, gid: (gid ?? 0) + 1 };
    const refused = await workshop.start(join(home, 'other'), stranger, openInstallation()).line(isRefused);
    expect(refused.message).toMatch(/DATA_DIR .* cannot be used by user id/);

    // Root on the same folder runs it as the owner of the data, and the owner can go on afterwards.
    const root = workshop.start(dataDir, {}, join(home, 'installation'));
    expect(await query((await root.line(isReady)).connectionString, 'select n from kept')).toEqual([{ n: 42 }]);
    expect(userOf(postmasterPid(dataDir))).toBe(uid);
    await root.stop();
  });
});

describe('root', () => {
  it.skipIf(needsNamespace)(
    `runs it in place, below a folder that other users cannot enter${needsNamespace}`,
    async () => {
      expect(statSync(workshop.base).mode & 0o777).toBe(0o700);
      const dataDir = workshop.folder();
      const server = workshop.start(dataDir);
      const ready = await server.line(isReady);
      expect(ready.dataDir).toBe(join(dataDir, 'postgres'));
      expect(server.lines.filter((line) => line.level === 'warn')).toEqual([]);
      expect(pathsOwnedByOthers(dataDir, 0)).toEqual([]);
      await server.stop();
    },
  );

  it.skipIf(needsNamespace)(
    `moves an existing database where unshare is refused, and says where${needsNamespace}`,
    async () => {
      const dataDir = workshop.madeFolder();
      const relocationRoot = join(open, 'moved');

      const options = { path: withoutUnshare, embedded: { relocationRoot } };
      const second = workshop.start(dataDir, options);
      const ready = await second.line(isReady);
      const place = ready.dataDir ?? '';
      expect(place.startsWith(relocationRoot)).toBe(true);
      expect((await second.line(says(/runs as/))).message).toContain(place);
      expect(ready.firstStart).toBe(false);
      expect(await query(ready.connectionString, 'insert into kept values (43) returning n')).toEqual([{ n: 43 }]);
      expect(statSync(dataDir).mode & 0o777).toBe(0o700);
      expect(statSync(place).uid).not.toBe(0);
      await second.stop();

      // Even where unshare works again, the database is the one that was moved, not what stayed behind.
      const third = workshop.start(dataDir, { embedded: { relocationRoot } });
      const again = await third.line(isReady);
      expect(again.dataDir).toBe(place);
      expect(await query(again.connectionString, 'select n from kept order by n')).toEqual([{ n: 42 }, { n: 43 }]);
      const found = workshop.start(dataDir, { find: true });
      expect((await found.line((line) => line.kind === 'found')).connectionString).toBe(again.connectionString);
      await third.stop();

      rmSync(dirname(place), { recursive: true });
      expect((await workshop.start(dataDir, options).line(isRefused)).message).toContain('bring it back');
    },
  );

  it.skipIf(needsRoot)(`keeps the data in DATA_DIR where another user can pass through to it${needsRoot}`, async () => {
    const dataDir = join(open, 'reachable', 'data');
    const options = { path: withoutUnshare, embedded: { relocationRoot: join(open, 'binaries') } };
    const server = workshop.start(dataDir, options);
    const ready = await server.line(isReady);
    expect(ready.dataDir).toBe(join(dataDir, 'postgres'));
    expect(statSync(dataDir).mode & 0o777).toBe(0o710);
    expect(statSync(join(dataDir, 'postgres-password')).mode & 0o777).toBe(0o600);
    const pid = postmasterPid(dataDir);
    expect(userOf(pid)).toBe(statSync(join(dataDir, 'postgres')).uid);
    expect(userOf(pid)).not.toBe(0);
    await query(ready.connectionString, 'create table kept as select 42 as n');
    process.kill(pid, 'SIGKILL');
    await server.line(says(/PostgreSQL is back/));
    await support.killServer(server);
    const again = workshop.start(dataDir, options);
    const line = await again.line(isReady);
    expect(await query(line.connectionString, 'select n from kept')).toEqual([{ n: 42 }]);
    await again.stop();
    await eventually(() => expect(existsSync(join(dataDir, 'postgres', 'postmaster.pid'))).toBe(false));
  });
});
