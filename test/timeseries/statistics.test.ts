import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { verify } from '../../src/verify/verify.ts';
import { joinTestServer, startTestServer, type TestServer } from '../support/test-server.ts';
import { openStream, storeChunk } from './support/storing.ts';

vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 });

/** It reads by overviews wherever there are some. */
let server: TestServer;
/** Its reads do without. */
let plain: TestServer;
let dataId: string;
const points: { seconds: number; value: number | null }[] = [];
const chunkCount = 200;

/** Beside a large offset; chunks overlap those beside them, some lie elsewhere, and some readings are absent. */
beforeAll(async () => {
  const overviews = { quietShare: 1, busyShare: 1 };
  server = await startTestServer({}, { overviews, points: { overviewChunksMin: 0 } });
  plain = await joinTestServer(server, {}, undefined, {
    points: { overviewChunksMin: Number.POSITIVE_INFINITY, looseChunksMax: 1_000 },
  });
  dataId = await openStream(server, 5);
  const sent: Promise<void>[] = [];
  for (let chunk_index = 0; chunk_index < chunkCount; chunk_index++) {
    const place = chunk_index % 41 === 40 ? 500 + chunk_index : chunk_index;
    const timestamps = Array.from({ length: 5 }, (_, i) => 1_000 + place + i * 0.4);
    const values = timestamps.map((_, i) =>
      (chunk_index + i) % 9 === 0 ? null : 1e9 + Math.sin(chunk_index * 5 + i) / 1e3,
    );
    points.push(...timestamps.map((seconds, i) => ({ seconds, value: values[i] as number | null })));
    sent.push(storeChunk(server, dataId, 'p', { chunk_index, timestamps, values }, 'nm'));
  }
  await Promise.all(sent);
  await storeChunk(server, dataId, 'empty', { chunk_index: 0, timestamps: [1_000, 1_001], values: [null, null] });
  await storeChunk(server, dataId, 'one', { chunk_index: 0, timestamps: [1_000], values: [-0] });
  await verify(server.database, () => {}, { repairs: true });
});
afterAll(async () => {
  await plain?.close();
  await server?.close();
});

const ask = (query: string, of = server, key?: string) => of.get(`/metrology/${dataId}/statistics/?${query}`, key);

/** Distances from the offset are exact, and so small that their sums are. */
function expected(fromMs: number, toMs: number) {
  const inside = points.filter(({ seconds }) => {
    const ms = Math.round(seconds * 1_000);
    return ms >= fromMs && ms <= toMs;
  });
  const values = inside.flatMap(({ value }) => (value === null ? [] : [value - 1e9]));
  const mean = values.reduce((sum, one) => sum + one, 0) / values.length;
  const squares = values.reduce((sum, one) => sum + (one - mean) ** 2, 0);
  return {
    count: values.length,
    absent_count: inside.length - values.length,
    mean: 1e9 + mean,
    standard_deviation: Math.sqrt(squares / values.length),
    sample_standard_deviation: Math.sqrt(squares / (values.length - 1)),
    minimum: 1e9 + Math.min(...values),
    maximum: 1e9 + Math.max(...values),
  };
}

describe('the statistics of a window', () => {
  test.each([
    ['all', undefined, undefined],
    ['whole blocks', 1_000, 1_128],
    ['a cut block', 1_010.4, 1_150],
    ['a cut chunk', 1_063.5, 1_064.6],
    ['both ends, to the ms', 1_050.8, 1_051.2],
    ['inside of both ends', 1_050.801, 1_051.199],
    ['one ms', 1_050.8, 1_050.8],
    ['the chunks that lie elsewhere', 1_400, 2_000],
  ])('of %s', async (_, start, end) => {
    const query = [start === undefined ? '' : `start=${start}`, end === undefined ? '' : `end=${end}`].join('&');
    const { count, absent_count, ...wanted } = expected((start ?? -9e9) * 1_000, (end ?? 9e9) * 1_000);
    expect(count).toBeGreaterThan(0);
    for (const one of [server, plain]) {
      const { status, json } = await ask(query, one);
      expect(status).toBe(200);
      const found = json.properties.p;
      expect(found).toMatchObject({
        count,
        absent_count,
        units: 'nm',
        minimum: wanted.minimum,
        maximum: wanted.maximum,
      });
      expect(Math.abs(found.mean - wanted.mean)).toBeLessThanOrEqual(2 ** -23);
      for (const name of ['standard_deviation', 'sample_standard_deviation'] as const) {
        if (count < 2) expect([name, found[name]]).toEqual([name, name === 'standard_deviation' ? 0 : null]);
        else expect(Math.abs(found[name] / wanted[name] - 1), name).toBeLessThan(1e-12);
      }
      for (const end of ['minimum', 'maximum']) {
        const at = points.filter(({ seconds }) => Math.round(seconds * 1_000) === found[`${end}_unix_timestamp_ms`]);
        expect(at.map(({ value }) => value)).toContain(found[end]);
      }
      // The same window, read plainly, has as many points, but for those that share a ms.
      const read = await one.get(`/metrology/${dataId}/timeseries/?property_names=p&${query}`);
      const shown = read.json.properties.p.unix_timestamp_ms as number[];
      const inside = points
        .map(({ seconds }) => Math.round(seconds * 1_000))
        .filter((ms) => ms >= (start ?? -9e9) * 1_000 && ms <= (end ?? 9e9) * 1_000);
      expect(shown).toEqual([...new Set(inside)].sort((a, b) => a - b));
    }
  });

  test('by overviews: the arrays of few chunks are read', async () => {
    const { rows } = await server.owner.pool.query('select block from overviews where data_id = $1', [dataId]);
    expect(rows).toHaveLength(3);
  });

  test('where nothing is: no readings, no points, no such property', async () => {
    const nothing = {
      count: 0,
      ...{ mean: null, standard_deviation: null, sample_standard_deviation: null },
      ...{ minimum: null, minimum_unix_timestamp_ms: null, maximum: null, maximum_unix_timestamp_ms: null },
    };
    const { json } = await ask('');
    expect(Object.keys(json.properties).sort()).toEqual(['empty', 'one', 'p']);
    expect(json.properties.empty).toEqual({ ...nothing, absent_count: 2, units: null });
    expect(json.properties.one).toMatchObject({
      count: 1,
      mean: 0,
      standard_deviation: 0,
      sample_standard_deviation: null,
    });
    expect((await ask('start=5000')).json.properties.p).toEqual({ ...nothing, absent_count: 0, units: 'nm' });
    expect(Object.keys((await ask('property_names=one')).json.properties)).toEqual(['one']);
  });

  test('is refused as that of a plain read is', async () => {
    for (const query of ['start=3&end=2', 'start=soon', 'start=1700000000000', 'property_names=']) {
      const read = await server.get(`/metrology/${dataId}/timeseries/?${query}`);
      const { status, text } = await ask(query);
      expect([query, status, text]).toEqual([query, read.status, read.status === 200 ? text : read.text]);
    }
    expect((await ask('', server, server.keys.rival)).status).toBe(404);
    expect((await server.get(`/tool-state/${dataId}/statistics/`)).json).toEqual((await ask('')).json);
    expect((await ask('', server, null as never)).status).toBe(401);
  });
});
