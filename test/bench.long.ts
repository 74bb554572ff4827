import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { rows } from '../bench/rows.ts';
import { measure, watchLatency } from '../bench/support/load.ts';
import { readArguments } from '../bench/support/options.ts';
import { bodyOf, type Format, makeMix, makeVariants, writeVariants } from '../bench/support/payload.ts';
import { type Report, toMarkdown, toText } from '../bench/support/report.ts';
import type { Target } from '../bench/support/target.ts';
import { groupBy } from '../src/lib/group-by.ts';

const project = fileURLToPath(new URL('..', import.meta.url));
const hasWrk = spawnSync('sh', ['-c', 'command -v wrk']).status === 0;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'metrology-bench-test-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('every row that needs no other database gives a result', { timeout: 240_000 }, async () => {
  const json = join(folder, 'report.json');
  const args = [join(project, 'bench/start.mjs'), '--tiny', '--postgres', inject('adminUrl'), '--json', json];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 220_000 });
  const report = JSON.parse(await readFile(json, 'utf8')) as Report;
  expect(report.missing).toEqual([]);
  const external = ['victoria-metrics', 'influxdb', 'mix-processor', 'mix-victoria', 'mix-influx'];
  const expected = rows.map(({ id }) => id).filter((id) => !external.includes(id));
  expect([...new Set(report.results.map(({ row }) => row))]).toEqual(expected);
  for (const { row, ours, baseline, ratio, rounds, unit } of report.results) {
    expect(ours, row).toBeGreaterThanOrEqual(unit === 'bytes/chunk' ? 0 : Number.MIN_VALUE);
    expect(rounds.ours, row).toHaveLength(1);
    if (baseline === null) continue;
    expect(baseline, row).toBeGreaterThan(0);
    expect(ratio, row).toBeCloseTo(ours / baseline, 6);
  }
  expect(stdout).toContain(toText(report));
  expect(toMarkdown(report)).toMatch(/^\| row \| unit \|/m);
});

test('the rows of overviews give results, and answers of the same bytes with overviews and without', {
  timeout: 240_000,
}, async () => {
  const size = ['--points', '60000', '--channels', '2', '--rounds', '1'];
  const args = [join(project, 'bench/start.mjs'), '--overviews', ...size, '--markdown'];
  const parts = ['reads', 'zoom', 'growth', 'statistics'].flatMap((part) => ['--only', part]);
  const { stdout } = await promisify(execFile)(process.execPath, [...args, ...parts], { timeout: 220_000 });
  expect(stdout.match(/^\| (?!row|---)/gm)).toHaveLength(10);
  expect(stdout).toContain('60,000 points in chunks of 1,000 to 2,000');
});

describe('the load', () => {
  const formats: Format[] = ['chunk', 'multi', 'victoria', 'influx'];
  const answering = async (status: (n: number) => number) => {
    const bodies: string[] = [];
    const server = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      request.on('end', () => {
        bodies.push(body);
        response.writeHead(status(bodies.length), { 'content-length': 2 }).end('ok');
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const routes = formats.map((format) => [format, { path: '/', headers: {}, expectedStatus: 201 }]);
    const target: Target = {
      ...{ kind: 'discard', name: 'recorder', durability: '', key: 'secret', pid: process.pid },
      url: `http://127.0.0.1:${port}`,
      routes: Object.fromEntries(routes),
      openStreams: async () => [],
      storedPoints: async () => 0,
      async stop() {
        server.closeAllConnections();
        server.close();
      },
    };
    return { target, bodies };
  };
  const loadOf = (format: Format, isMix = false) => {
    const streams = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'];
    const variants = isMix ? makeMix(5, 40) : makeVariants(5, streams.length, 40);
    const channels = format === 'multi' || (format === 'victoria' && isMix) ? 3 : 1;
    const payload = { format, points: 5, channels, streams, variants, isMix };
    return { format, payload, variantsFile: writeVariants(folder, variants) };
  };
  const options = (generator: string) => readArguments(['--tiny', '--generator', generator], true).options;

  const generators = hasWrk ? ['wrk', 'node'] : ['node'];
  const loads = generators.flatMap((generator) => [
    ['random readings', generator, false] as const,
    ['a mix', generator, true] as const,
  ]);
  test.each(loads)('of %s by %s is what bodyOf says, each request once', async (_what, generator, isMix) => {
    for (const format of formats) {
      const { target, bodies } = await answering(() => 201);
      const load = { ...loadOf(format, isMix), requestsMax: 50 };
      const { sent } = await measure(target, load, options(generator));
      await target.stop();
      expect(sent).toBe(50);
      const expected = Array.from({ length: 2 + 50 }, (_, n) => bodyOf(load.payload, n)).toSpliced(1, 1);
      expect(bodies.sort()).toEqual(expected.sort());
      expect(new Set(bodies).size).toBe(51);
    }
  });

  test('of our chunks is JSON with ascending times and as many values', () => {
    const { payload } = loadOf('chunk');
    const { data_id, chunk_index, timestamps, values } = JSON.parse(bodyOf(payload, 7));
    expect([data_id, chunk_index]).toEqual([payload.streams[1], 3]);
    expect(timestamps).toHaveLength(5);
    expect(timestamps).toEqual([...timestamps].sort((a, b) => a - b));
    expect(values).toHaveLength(5);
    const next = JSON.parse(bodyOf(payload, 9));
    expect(next.timestamps[0]).toBeGreaterThan(timestamps[4]);
  });

  test('of a mix has one kind of readings in each channel: two of sixteen are float32, one has all digits', () => {
    const streams = Array.from({ length: 16 }, (_, i) => `stream-${i}`);
    const variants = makeMix(100, 10_000);
    const kinds = new Map<string, Set<string>>();
    const kindOf = (values: number[]) => {
      if (values.every((value) => Number(value.toFixed(3)) === value)) return 'decimals';
      return values.every((value) => Math.fround(value) === value) ? 'float32' : 'all digits';
    };
    for (let n = 0; n < 320; n++) {
      const payload = { format: 'multi', points: 100, channels: 10, streams, variants, isMix: true } as const;
      const { data_id, channels } = JSON.parse(bodyOf(payload, n));
      for (const [name, { timestamps, values }] of Object.entries<Record<string, number[]>>(channels)) {
        const of = kinds.get(`${data_id} ${name}`) ?? new Set();
        kinds.set(`${data_id} ${name}`, of.add(kindOf(values as number[])));
        expect(timestamps).toEqual([...(timestamps as number[])].sort((a, b) => a - b));
      }
    }
    expect(kinds.size).toBe(160);
    const counts = groupBy(kinds.values(), (of) => [...of].join(' and '));
    expect(Object.fromEntries([...counts].map(([kind, all]) => [kind, all.length]))).toEqual({
      ...{ decimals: 130, float32: 20, 'all digits': 10 },
    });
  });

  test.each(generators)('by %s is no result when one answer is a refusal', async (generator) => {
    const { target } = await answering((n) => (n === 20 ? 500 : 201));
    await expect(measure(target, { ...loadOf('chunk'), requestsMax: 50 }, options(generator))).rejects.toThrow(
      /1 answers were refusals|answered 500/,
    );
    await target.stop();
  });

  test.each(generators)('by %s is no result when the stored points do not add up', async (generator) => {
    const { target } = await answering(() => 201);
    let points = 0;
    const forgetful: Target = { ...target, kind: 'ours', storedPoints: async () => points++ };
    await expect(measure(forgetful, { ...loadOf('chunk'), requestsMax: 50 }, options(generator))).rejects.toThrow(
      'recorder: 51 requests were acknowledged, so 255 points; stored 1',
    );
    await target.stop();
  });

  test('at fixed times counts the wait behind a server that stalls', async () => {
    const { target } = await answering(() => 201);
    let points = 0;
    const counting: Target = { ...target, kind: 'ours', storedPoints: async () => points };
    const stalled = watchLatency(counting, loadOf('chunk'), { connections: 4, perSecond: 200, seconds: 0.5 });
    points = 500;
    const until = performance.now() + 200;
    setTimeout(() => {
      while (performance.now() < until + 100);
    }, 100);
    const { sent, latenciesMs } = await stalled;
    await target.stop();
    expect(sent).toBe(100);
    // All that was due while nothing was answered waited, not only the four that were on their way.
    expect(latenciesMs.filter((ms) => ms > 20).length).toBeGreaterThan(15);
  });
});
