import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createProgress } from '../../src/demo/progress.ts';
import { readSeattleWeather } from '../../src/demo/record.ts';
import { streamRecord } from '../../src/demo/stream.ts';
import { buildServer, run, type Server, serve } from '../support/built-server.ts';

let built: Awaited<ReturnType<typeof buildServer>>;
let dataDir: string;
let server: Server;

beforeAll(async () => {
  built = await buildServer();
  const assets = fileURLToPath(new URL('../../dist/assets', import.meta.url));
  await cp(assets, join(built.folder, 'dist/assets'), { recursive: true });
  dataDir = await mkdtemp(join(tmpdir(), 'metrology-demo-test-'));
  server = await serve(built.folder, { DATA_DIR: dataDir });
});
afterAll(async () => {
  server?.child.kill('SIGTERM');
  await server?.exit();
  await built?.remove();
  if (dataDir) await rm(dataDir, { recursive: true, force: true });
});

async function demo(args: string[], settings: Record<string, string>) {
  const program = run(built.folder, 'commands/cli.js', ['demo', ...args], settings);
  const { code } = await program.exit(60_000);
  return { code, stdout: program.stdout(), stderr: program.stderr() };
}

describe('beside a running server', () => {
  test('streams the record, and the curl lines at the end can be pasted', async () => {
    const { code, stdout, stderr } = await demo([], { PORT: new URL(server.endpoint).port, DATA_DIR: dataDir });
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('100 % 26,277 points');
    expect(stdout).toMatch(/points\/s/);
    expect(stdout).toContain('Read back: 26,277 points of 3 channels, the same bit for bit.');
    expect(stdout).not.toContain('\r');
    const curls = stdout.split('\n').filter((line) => line.trim().startsWith('curl'));
    expect(curls).toHaveLength(3);
    const answers = await Promise.all(
      curls.map((line) => promisify(execFile)('bash', ['-c', `${line.trim()} --fail --silent`])),
    );
    const [last, day, entries] = answers.map((answer) => JSON.parse(answer.stdout));
    expect(last.properties.wind.values).toHaveLength(2);
    expect(day.chunks[0].values.slice(0, 3)).toEqual([1016.6, 1016.6, 1016.7]);
    expect(entries[0]).toMatchObject({ raw_name: 'Seattle 2010', pipeline_status: 'success' });
    // Whatever page stands there by itself opens without a key.
    const links = [...stdout.matchAll(/^[^"'\n]*\s(http:\/\/[^/\s]+\/\S+)$/gm)].map(([, link]) => link as string);
    expect(links.some((link) => link.endsWith('/docs'))).toBe(true);
    for (const link of links) expect((await fetch(link)).status, link).toBe(200);
  });

  test('a refused key is said in the words of the server', async () => {
    const { code, stderr } = await demo(['--endpoint', `${server.endpoint}/`, '--key', 'not-a-key-at-all'], {});
    expect(code).toBe(1);
    expect(stderr).toContain('401');
    expect(stderr).toContain('This API key is unknown, revoked or expired.');
  });

  test('without a key it says where one comes from', async () => {
    const { code, stderr } = await demo(['--endpoint', server.endpoint], { DATA_DIR: join(dataDir, 'elsewhere') });
    expect(code).toBe(1);
    expect(stderr).toContain('set AS_API_KEY or give --key');
    expect(stderr).toContain('keys create');
  });
});

describe('where no server answers', () => {
  test('starts one of its own, and leaves nothing behind', async () => {
    // Port 9 is one that fetch refuses to ask.
    const { code, stdout, stderr } = await demo([], { PORT: '9' });
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('the same bit for bit');
    const folder = /data in (\S+)/.exec(stdout)?.[1] as string;
    const address = /It answers at (\S+),/.exec(stdout)?.[1] as string;
    await expect(fetch(address)).rejects.toThrow();
    await expect(rm(folder, { recursive: true })).rejects.toThrow('ENOENT');
  });

  test('ends in order although nobody reads what it says', async () => {
    const program = run(built.folder, 'commands/cli.js', ['demo'], { PORT: '9' });
    program.child.stdout?.once('data', () => program.child.stdout?.destroy());
    expect([(await program.exit(60_000)).code, program.stderr()]).toEqual([0, '']);
  });

  test('one that was asked for is missed, with what to do', async () => {
    const { code, stderr } = await demo([], { AS_API_ENDPOINT: 'http://127.0.0.1:9' });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^No metrology-server at http:\/\/127\.0\.0\.1:9: .*\nStart it, or leave AS_API_ENDPOINT/);
  });
});

test.each([
  ['a value that is off in its last bit', 1016.6 + 2 ** -43, 'm/s', /came back different/],
  ['another unit', undefined, 'km/h', /came back different/],
])('%s is noticed when it is read back', async (_what, changed, units, message) => {
  const record = await readSeattleWeather();
  const few = record.channels.map((channel) => ({ ...channel, values: channel.values.slice(0, 24) }));
  const times = record.times.slice(0, 24);
  const liar = createServer((request, response) => {
    const name = new URL(request.url ?? '', 'http://liar').searchParams.get('channel');
    const channel = few.find((one) => one.name === name);
    const values = channel?.values.with(0, changed ?? (channel.values[0] as number));
    const points = { units: name === 'wind' ? units : channel?.units, chunks: [{ timestamps: times, values }] };
    const receipts = few.map((one) => ({ channel_name: one.name, total_points: 24 }));
    const isChunk = request.url?.endsWith('/chunk/multi');
    request.resume();
    response.end(JSON.stringify(isChunk ? receipts : { data_id: 'id', ...points }));
  });
  await new Promise<void>((resolve) => liar.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(liar.address() as AddressInfo).port}`;
  const work = streamRecord({ endpoint, key: 'any' }, { ...record, times, channels: few }, { write() {} });
  await expect(work).rejects.toThrow(message);
  liar.close();
});

describe('progress', () => {
  const show = (output: { isTTY?: boolean; columns?: number }, steps: number[]) => {
    const written: string[] = [];
    const progress = createProgress(
      { ...output, write: (text) => written.push(text) },
      100,
      (done) => `${done} points`,
    );
    for (const step of steps) progress(step);
    return written;
  };

  test('is one line on a terminal, as wide as it fits, and ends its line once', () => {
    for (const columns of [20, 60, 200]) {
      const written = show({ isTTY: true, columns }, [1, 2, 50, 100]);
      expect(written.every((text) => text.startsWith('\r\u001b[K'))).toBe(true);
      const lines = written.map((text) => text.replace('\r\u001b[K', '').replace('\n', ''));
      expect(lines.filter((line) => line.length >= columns)).toEqual([]);
      expect(written.filter((text) => text.endsWith('\n'))).toHaveLength(1);
    }
    expect(show({ isTTY: true, columns: 200 }, [50, 100]).at(-1)).toContain(`${'█'.repeat(40)} 100 % 100 points\n`);
  });

  test('is a line for each quarter elsewhere', () => {
    const lines = show({}, [1, 24, 26, 30, 51, 99, 100]);
    expect(lines).toEqual([' 26 % 26 points\n', ' 51 % 51 points\n', ' 99 % 99 points\n', '100 % 100 points\n']);
  });
});
