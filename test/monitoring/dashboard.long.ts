import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildApp } from '../../src/app.ts';
import { openReaders, type Reader } from '../sql/support/readers.ts';
import { chunkBody, openStream } from '../streams/support/chunks.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { queries, substitutedPromql, substitutedSql, variables } from './support/grafana.ts';
import { type Prometheus, prometheusIsInstalled, startPrometheus } from './support/prometheus.ts';

/* Every query of deploy/monitoring/grafana-dashboard.json, asked of Prometheus and PostgreSQL as Grafana would ask it. */

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const of = (name: string) => queries.filter(({ datasource }) => datasource === `\${${name}}`);

test('each query goes to one of the two sources, and names variables that there are', () => {
  expect(of('prometheus').length).toBeGreaterThan(20);
  expect(of('postgres').length).toBeGreaterThan(8);
  expect(of('prometheus').length + of('postgres').length).toBe(queries.length);
  const names = variables.map(({ name }) => name);
  for (const { title, text } of queries) {
    for (const [, name] of text.matchAll(/\$\{?([a-z]\w*)/g))
      expect([title, names]).toEqual([title, expect.arrayContaining([name])]);
  }
});

describe('in SQL', () => {
  let reader: Reader;
  let closeReaders: () => Promise<void>;
  let values: Record<string, string | string[]>;
  const now = Math.floor(Date.now() / 1_000);
  const window = {
    from: new Date((now - 3_600) * 1_000).toISOString(),
    to: new Date((now + 3_600) * 1_000).toISOString(),
  };
  beforeAll(async () => {
    const opened = await openReaders(server, ['lab']);
    reader = opened.readers.lab;
    closeReaders = opened.close;
    const id = async (path: string, name: string) => (await server.post(path, { name })).json.id;
    const [project, sample, tag] = [
      await id('/projects/', "Ada's"),
      await id('/physical_samples/', 'Wafer 7'),
      await id('/tags/', 'hot'),
    ];
    const run = await openStream(server, { stream_name: 'Run 7', physical_sample_id: sample, project_id: project });
    await server.post('/tags/data-items/', { data_ids: [run], tag_ids: [tag] });
    const timestamps = [now, now + 1, now + 11];
    for (const name of ["O'Ring", 'T']) {
      await server.post('/tool-state/stream/chunk', chunkBody(run, 0, name, [1, 5, 3], { timestamps }));
    }
    const other = await openStream(server, { stream_name: 'bare' });
    await server.post('/tool-state/stream/chunk', chunkBody(other, 0, 'p', [1], { timestamps: [now] }));
    values = { project: "Ada's", sample: 'Wafer 7', tag: 'hot', run, channel: ["O'Ring", 'T'] };
  });
  afterAll(() => closeReaders?.());

  const ask = (text: string, changed: Record<string, string | string[]> = {}) => {
    const sql = substitutedSql(text, { ...values, ...changed }, window);
    expect(sql).not.toContain('$');
    return reader.query(sql);
  };
  const textOf = (title: string) => of('postgres').find((query) => query.title === title)?.text as string;

  test('every query has rows', async () => {
    for (const { title, text } of of('postgres')) {
      expect([title, (await ask(text)).length > 0]).toEqual([title, true]);
    }
  });

  test('what is chosen is shown: by sample, project and tag, by each alone, or any', async () => {
    const any = { project: '*', sample: '*', tag: '*' };
    const runs = async (changed: object) =>
      (await ask(textOf('Runs that are chosen'), { ...any, ...changed })).map(({ run }) => run);
    expect(await runs({})).toEqual(['bare', 'Run 7']);
    for (const name of ['project', 'sample', 'tag'] as const) {
      expect(await runs({ [name]: values[name] })).toEqual(['Run 7']);
      expect(await runs({ [name]: 'another' })).toEqual([]);
    }
    expect(await ask(textOf('variable project'))).toEqual([
      { __text: 'any', __value: '*' },
      { __text: "Ada's", __value: "Ada's" },
    ]);
    const readings = await ask(textOf('Readings of the run'));
    expect([...new Set(readings.map(({ metric }) => metric))].sort()).toEqual(["O'Ring", 'T']);
  });

  test('before a run is chosen there are none, and no error', async () => {
    for (const title of ['Readings of the run', 'Channels of the run', 'variable channel']) {
      expect(await ask(textOf(title), { run: '', channel: '' })).toEqual([]);
    }
  });
});

describe.runIf(prometheusIsInstalled)('in PromQL (prometheus is installed)', () => {
  let prometheus: Prometheus;
  let close: () => Promise<void>;
  beforeAll(async () => {
    const { database } = server;
    const room = () => ({ free: 1e10, size: 1e11 });
    const app = await buildApp({
      config: {
        ...{ FINALIZE_GRACE_SECONDS: 120, STREAM_IDLE_SECONDS: 3_600, SESSION_HOURS: 1, REFERENCE_CLOCK: false },
        ...{ BODY_LIMIT_BYTES: 65_536, BODIES_LIMIT_BYTES: 67_108_864, METRICS_OPEN: true },
      },
      database: { ...database, disk: { ...database.disk, room } },
      log: pino({ level: 'silent' }),
      // As with BACKUP_DIR.
      backups: { ageSeconds: () => 3_600, failureCount: () => 0 },
    });
    await app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = app.server.address() as AddressInfo;
    const post = (path: string, payload: object) =>
      app.inject({
        method: 'POST',
        url: `/metrology/stream/${path}`,
        headers: { 'x-api-key': server.keys.ada },
        payload,
      });
    const { data_id } = (await post('initialize', { points_per_chunk: 3, unknown: 1 })).json();
    const stored = await post('chunk', chunkBody(data_id, 0, 'p', [1], { timestamps: [1_700_000_000_000] }));
    expect(stored.statusCode).toBe(201);
    prometheus = await startPrometheus(port);
    close = async () => {
      await prometheus.close();
      await app.close();
    };
  });
  afterAll(() => close?.());

  /** Those that have no series, after some seconds in which they could get some. */
  async function empty(texts: string[]): Promise<string[]> {
    let left = texts;
    const until = performance.now() + 40_000;
    while (left.length > 0 && performance.now() < until) {
      const counts = await Promise.all(left.map((text) => prometheus.countOf(substitutedPromql(text, '20s'))));
      left = left.filter((_, i) => counts[i] === 0);
      await sleep(200);
    }
    return left;
  }

  test('every query has series; one that is misspelt has none, and one that is no PromQL is refused', async () => {
    expect(await empty(of('prometheus').map(({ text }) => text))).toEqual([]);
    expect(await prometheus.countOf('sum(rate(metrology_chunk_total[20s]))')).toBe(0);
    await expect(prometheus.countOf('sum(')).rejects.toThrow('parse error');
  }, 60_000);
});
