import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { readPostmasterFile } from '../../src/database/embedded/processes.ts';
import { duplicateName } from '../../src/lib/duplicate-names.ts';
import { buildServer, isRunning, run, type Server, serve } from '../support/built-server.ts';

/** Twice and more what is promised (3 s, 2 s), for machines that do other things besides. */
const firstStartMsMax = 10_000;
const laterStartMsMax = 8_000;

let built: Awaited<ReturnType<typeof buildServer>>;
let folder: string;
let dataDir: string;
let server: Server;
let key: string;
let dataId: string;

beforeAll(async () => {
  built = await buildServer();
  folder = await mkdtemp(join(tmpdir(), 'metrology-serve-'));
  dataDir = join(folder, 'data');
});
afterAll(async () => {
  server?.child.kill('SIGTERM');
  await server?.exit();
  await built?.remove();
  if (folder) await rm(folder, { recursive: true, force: true });
});

const start = async () => {
  server = await serve(built.folder, { DATA_DIR: dataDir });
  return server;
};
const postmaster = (place = server.place) => readPostmasterFile(place)?.pid ?? Number.NaN;

async function call(method: string, path: string, body?: unknown): Promise<{ status: number; json: never }> {
  const headers = { 'x-api-key': key, ...(body !== undefined && { 'content-type': 'application/json' }) };
  const payload = body === undefined ? {} : { body: JSON.stringify(body) };
  const answer = await fetch(`${server.endpoint}${path}`, { method, headers, ...payload });
  return { status: answer.status, json: (await answer.json()) as never };
}
const chunk = (index: number) => ({
  data_id: dataId,
  chunk_index: index,
  channel_name: 'p',
  timestamps: [index],
  values: [index + 0.5],
});
const sendChunk = (index: number) => call('POST', '/tool-state/stream/chunk', chunk(index));
const totalPoints = async (index: number) => {
  const { status, json } = await sendChunk(index);
  expect(status).toBe(201);
  return (json as { total_points: number }).total_points;
};

describe.sequential('a server with its own PostgreSQL', () => {
  test('starts in an empty place and says where everything is', async () => {
    await start();
    console.info(`first start: ${Math.round(server.startMs)} ms`);
    expect(server.startMs).toBeLessThan(firstStartMsMax);
    const keyPath = join(dataDir, 'api-key');
    const said = server.stdout();
    expect(server.endpoint).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(server.place).not.toBe('');
    expect(said).toContain(`API key  in ${keyPath}\n`);
    expect(said).toContain(`endpoint = "${server.endpoint}"\n`);
    expect(said).toContain(`api_key = open("${keyPath}").read().strip()\n`);
    expect(said).toContain('TimeseriesStreamer(api_key=api_key, endpoint=endpoint');
    expect(said).not.toContain('msk_');

    expect(((await stat(keyPath)).mode & 0o777).toString(8)).toBe('600');
    key = (await readFile(keyPath, 'utf8')).trim();
    expect((await fetch(`${server.endpoint}/readyz`)).status).toBe(200);
    const opened = await call('POST', '/tool-state/stream/initialize', { points_per_chunk: 1 });
    expect(opened.status).toBe(200);
    dataId = (opened.json as { data_id: string }).data_id;
    expect(await totalPoints(0)).toBe(1);
    for (const line of server.stderr().trim().split('\n').filter(Boolean)) {
      expect([line, duplicateName(line, JSON.parse(line))]).toEqual([line, undefined]);
    }
    expect(server.stderr()).not.toContain(key);
  });

  test('SIGTERM lets the request in flight be answered, then everything ends', async () => {
    const pid = postmaster();
    const body = JSON.stringify(chunk(1));
    const socket = await openSocket(server.endpoint);
    const answer = readAll(socket);
    socket.write(
      `POST /tool-state/stream/chunk HTTP/1.1\r\nHost: x\r\nX-API-KEY: ${key}\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 20)}`,
    );
    // An idle connection beside it, which must not hold the end up.
    const idle = await openSocket(server.endpoint);
    await sleep(200);
    const askedAt = performance.now();
    server.child.kill('SIGTERM');
    await sleep(300);
    expect(server.child.exitCode).toBeNull();
    socket.write(body.slice(20));
    expect(await answer).toMatch(/^HTTP\/1\.1 201 [\s\S]*"total_points":2/);
    expect(await server.exit(10_000)).toMatchObject({ code: 0, signal: null });
    expect(performance.now() - askedAt).toBeLessThan(5_000);
    expect(isRunning(pid)).toBe(false);
    idle.destroy();
  });

  test('starts again quickly, says the same and has the data', async () => {
    await start();
    console.info(`later start: ${Math.round(server.startMs)} ms`);
    expect(server.startMs).toBeLessThan(laterStartMsMax);
    expect(server.stdout()).toContain(`API key  in ${join(dataDir, 'api-key')}\n`);
    expect((await readFile(join(dataDir, 'api-key'), 'utf8')).trim()).toBe(key);
    expect(await totalPoints(1)).toBe(2);
  });

  test('a second server on the same DATA_DIR is refused and harms nothing', async () => {
    const second = run(built.folder, 'main.js', [], { DATA_DIR: dataDir, PORT: '0' });
    expect(await second.exit()).toMatchObject({ code: 1 });
    expect(second.stderr()).toMatch(/cannot start/);
    expect(second.stderr()).not.toMatch(/\n\s+at /);
    expect(await totalPoints(1)).toBe(2);
  });

  test('PostgreSQL killed under it: it answers again by itself, with everything acknowledged', async () => {
    expect(await totalPoints(2)).toBe(3);
    const pid = postmaster();
    process.kill(pid, 'SIGKILL');
    // Its old backends may answer for a moment; what they acknowledge counts too.
    const statuses = new Set<number>();
    const isNew = () => {
      try {
        return postmaster() !== pid;
      } catch {
        return false;
      }
    };
    await expect
      .poll(
        async () => {
          const wasNew = isNew();
          const { status } = await sendChunk(3);
          statuses.add(status);
          return wasNew && status;
        },
        { timeout: 20_000, interval: 50 },
      )
      .toBe(201);
    for (const status of statuses) expect([201, 503]).toContain(status);
    expect(server.child.exitCode).toBeNull();
    expect(await totalPoints(3)).toBe(4);
  });

  test('killed itself, the next start just works and has everything acknowledged', async () => {
    const orphan = postmaster();
    server.child.kill('SIGKILL');
    expect(await server.exit()).toMatchObject({ signal: 'SIGKILL' });
    expect(isRunning(orphan)).toBe(true);
    await start();
    console.info(`start after kill -9: ${Math.round(server.startMs)} ms`);
    expect(isRunning(orphan)).toBe(false);
    expect(await totalPoints(3)).toBe(4);
  });

  test('a Ctrl-C that comes twice, as under npm, still ends in order', async () => {
    const pid = postmaster();
    server.child.kill('SIGINT');
    await sleep(20);
    server.child.kill('SIGINT');
    expect(await server.exit(10_000)).toMatchObject({ code: 0, signal: null });
    expect(isRunning(pid)).toBe(false);
  });

  test('a SIGTERM during the start leaves no PostgreSQL behind', async () => {
    const program = run(built.folder, 'main.js', [], { DATA_DIR: dataDir, PORT: '0' });
    await expect
      .poll(() => readdir(server.place).then((files) => files.includes('postmaster.pid')), { interval: 5 })
      .toBe(true);
    const pid = postmaster();
    program.child.kill('SIGTERM');
    expect(await program.exit()).toMatchObject({ code: 0 });
    expect(isRunning(pid)).toBe(false);
  });

  test('a port in use is said in a sentence, and PostgreSQL is stopped again', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as { port: number };
    const program = run(built.folder, 'main.js', [], { DATA_DIR: dataDir, PORT: String(port) });
    expect(await program.exit()).toMatchObject({ code: 1 });
    other.close();
    expect(program.stderr()).toContain(`Port ${port} of 127.0.0.1 is in use.`);
    expect(program.stderr()).not.toMatch(/\n\s+at /);
    expect(await readdir(server.place)).not.toContain('postmaster.pid');
  });
});

describe('commands beside a server that is just starting on the same folder', () => {
  test('wait for it', { timeout: 180_000 }, async () => {
    const dataDir = join(folder, 'starting');
    const settings = { DATA_DIR: dataDir, PORT: '0' };
    const program = run(built.folder, 'main.js', [], settings);
    onTestFinished(() => void program.child.kill('SIGTERM'));
    const isClaimed = async () => (await readdir(dataDir).catch(() => [])).some((name) => name.endsWith('.lock'));
    await expect.poll(isClaimed, { interval: 5 }).toBe(true);
    const commands = [['keys', 'list'], ['migrate'], ['verify'], ['sql-readers', 'list']];
    const started = commands.map((args) => run(built.folder, 'commands/cli.js', args, settings));
    for (const [i, command] of started.entries()) {
      const { code } = await command.exit(120_000);
      expect([commands[i], code], command.stderr()).toEqual([commands[i], 0]);
    }
    expect(started[1]?.stdout()).toBe('The database is up to date.\n');
    await expect.poll(() => program.stdout(), { timeout: 60_000 }).toContain('Address');
    // PostgreSQL knows no 18.4.0-beta.17, which is the package that brings it.
    expect(program.stderr()).toMatch(/"version":"\d+\.\d+","msg":"made a new database"/);
    program.child.kill('SIGTERM');
    expect(await program.exit()).toMatchObject({ code: 0 });
  });
});

describe('a start that cannot work', () => {
  test('main.js takes no arguments: a command that is given to it is not taken for a wish to serve', async () => {
    for (const args of [['keys', 'list'], ['--help'], ['serve'], ['']]) {
      const dataDir = join(folder, 'never-made');
      const program = run(built.folder, 'main.js', args, { DATA_DIR: dataDir, PORT: '0' });
      expect(await program.exit()).toMatchObject({ code: 1 });
      expect(program.stderr()).toMatch(
        new RegExp(`^dist/main.js .* takes no arguments, so "${args[0]}" means nothing`),
      );
      await expect(stat(dataDir)).rejects.toThrow('ENOENT');
    }
  });

  test('names every wrong setting, shows no secret and makes nothing', async () => {
    const secret = 'open sesame, the door';
    const untouched = join(folder, 'untouched');
    const settings = { PORT: 'x', LOG_LEVEL: 'loud', BOOTSTRAP_API_KEY: secret, DATA_DIR: untouched };
    for (const [script, args] of [
      ['main.js', []],
      ['commands/cli.js', ['serve']],
    ] as [string, string[]][]) {
      const program = run(built.folder, script, args, settings);
      expect(await program.exit()).toMatchObject({ code: 1 });
      for (const name of ['PORT', 'LOG_LEVEL', 'BOOTSTRAP_API_KEY']) {
        expect(program.stderr()).toMatch(new RegExp(`^${name}: `, 'm'));
      }
      expect(program.stderr()).not.toMatch(/sesame|\n\s+at /);
    }
    await expect(stat(untouched)).rejects.toThrow('ENOENT');
  });

  test('a database that refuses the role is said at once, without the password', async () => {
    const url = new URL(inject('adminUrl'));
    url.username = 'nobody_of_that_name';
    url.password = 'sesame';
    const program = run(built.folder, 'main.js', [], { DATABASE_URL: url.href, DATA_DIR: join(folder, 'unused') });
    const { code, ms } = await program.exit(20_000);
    expect(code).toBe(1);
    expect(ms).toBeLessThan(15_000);
    expect(program.stderr()).toContain('The database refuses the connection');
    expect(program.stderr()).not.toMatch(/sesame|\n\s+at /);
  });
});

function openSocket(endpoint: string): Promise<Socket> {
  const { hostname, port } = new URL(endpoint);
  const socket = connect(Number(port), hostname);
  return new Promise((resolve, reject) => socket.once('connect', () => resolve(socket)).once('error', reject));
}

function readAll(socket: Socket): Promise<string> {
  let text = '';
  socket.setEncoding('utf8').on('data', (part) => {
    text += part;
  });
  return new Promise((resolve) => socket.once('close', () => resolve(text)));
}
