import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { timeseriesLimits } from '../../src/timeseries/limits.ts';
import { onCluster } from '../support/on-cluster.ts';
import { pagesOf } from '../support/pages-touched.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { fillChannel, openStream, storeChunk } from './support/storing.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const startSeconds = 1_700_000_000;

/** Chunks of two points a second apart, from `startSeconds` on; the values are their numbers. */
async function streamWithout(missing: number[], chunkCount = 8): Promise<string> {
  const dataId = await openStream(server, 2);
  for (let chunk_index = 0; chunk_index < chunkCount; chunk_index++) {
    if (missing.includes(chunk_index)) continue;
    const values = [chunk_index * 2, chunk_index * 2 + 1];
    await storeChunk(
      server,
      dataId,
      'v',
      { chunk_index, timestamps: values.map((n) => startSeconds + n), values },
      'K',
    );
  }
  return dataId;
}

describe('start and end', () => {
  test('are both included, as Unix seconds or as ISO 8601', async () => {
    const dataId = await streamWithout([]);
    const values = async (query: string) => {
      const answer = await server.get(`/tool-state/${dataId}/timeseries/?${query}`);
      expect(answer.status, answer.text).toBe(200);
      return answer.json.properties.v.values;
    };
    expect(await values('start=1700000003&end=1700000006')).toEqual([3, 4, 5, 6]);
    expect(await values('start=1700000003.001&end=1.7000000059e9')).toEqual([4, 5]);
    expect(await values('start=2023-11-14T22:13:33Z')).toEqual([13, 14, 15]);
    expect(await values('end=2023-11-14T23:13:21.0004%2B01:00')).toEqual([0, 1]);
    expect(await values('start=2023-11-14T23:13:32.9996%2B0100')).toEqual([13, 14, 15]);
    expect(await values('start=2023-11-14T22:13:33')).toEqual([13, 14, 15]);
    expect(await values('end=2023-11-14')).toEqual([]);
    expect(await values('start=2023-11-14&last_n=1')).toEqual([15]);
    expect(await values('start=2023-11-15')).toEqual([]);
    expect(await values('start=1700000003&end=1700000003')).toEqual([3]);
    expect(await values('start=1700000004&elapsed_seconds=6&end=1700000009')).toEqual([6, 7, 8, 9]);
    expect(await values('end=1700000009&last_n=3')).toEqual([7, 8, 9]);
    expect(await values('start=1700000008&end=1700000009&last_n=3')).toEqual([8, 9]);
    expect(await values('start=1e300')).toEqual([]);
    expect(await values('end=-1e300')).toEqual([]);
  });

  test('cut the rows as well', async () => {
    const dataId = await streamWithout([]);
    const { json } = await server.get(`/metrology/${dataId}/timeseries/?start=1700000003&end=1700000004`);
    expect(json.series).toEqual([
      { unix_timestamp_ms: 1_700_000_003_000, relative_time_seconds: 3, v: 3 },
      { unix_timestamp_ms: 1_700_000_004_000, relative_time_seconds: 4, v: 4 },
    ]);
    expect(json.series_max_time).toBe(15);
  });

  test.each([
    ['start=yesterday', 'start'],
    ['end=2026-02-30', 'end'],
    ['end=1e999', 'end'],
    ['start=2026-01-31T08:00:00+01:00', 'start'],
    ['start=5&end=4', 'start'],
    ['start=', 'start'],
    ['max_points=3', 'max_points'],
    [`max_points=${timeseriesLimits.downSampledPointsMax + 1}`, 'max_points'],
    ['max_points=4.5', 'max_points'],
  ])('%s is refused by name', async (query, field) => {
    const dataId = await openStream(server);
    for (const room of ['tool-state', 'metrology']) {
      const answer = await server.get(`/${room}/${dataId}/timeseries/?${query}`);
      expect(answer.status, answer.text).toBe(422);
      expect(answer.json.detail[0].loc).toEqual(['query', field]);
    }
  });

  test('the error names the limit', async () => {
    const dataId = await openStream(server);
    const { text } = await server.get(`/tool-state/${dataId}/timeseries/?max_points=2000000`);
    expect(text).toContain(String(timeseriesLimits.downSampledPointsMax));
  });
});

describe('max_points', () => {
  test('answers few points whole, with nulls in the gaps and the gaps', async () => {
    const dataId = await streamWithout([2, 3]);
    const { json } = await server.get(`/metrology/${dataId}/timeseries/?max_points=20`);
    expect(json.properties.v).toEqual({
      values: [0, 1, 2, 3, null, 8, 9, 10, 11, 12, 13, 14, 15],
      relative_time_seconds: [0, 1, 2, 3, 5.5, 8, 9, 10, 11, 12, 13, 14, 15],
      unix_timestamp_ms: [0, 1, 2, 3, 5.5, 8, 9, 10, 11, 12, 13, 14, 15].map((n) => (startSeconds + n) * 1_000),
      units: 'K',
    });
    expect(json.gaps).toEqual({
      v: [
        {
          from_chunk: 2,
          to_chunk: 3,
          data_ends_unix_timestamp_ms: 1_700_000_003_000,
          data_begins_unix_timestamp_ms: 1_700_000_008_000,
        },
      ],
    });
    expect(json.series.map(({ v }: { v: number | null }) => v)).toEqual(json.properties.v.values);
    const plain = (await server.get(`/metrology/${dataId}/timeseries/`)).json;
    expect(json.down_sampled).toEqual({ v: false });
    expect(plain).not.toHaveProperty('gaps');
    expect(plain).not.toHaveProperty('down_sampled');
    expect(plain.properties.v.values).not.toContain(null);
  });

  test('shows the extremes of each part, and follows a replaced chunk', async () => {
    const dataId = await streamWithout([]);
    const url = `/tool-state/${dataId}/timeseries/?max_points=4`;
    expect((await server.get(url)).json.properties.v.values).toEqual([0, 7, 8, 15]);
    const replaced = { chunk_index: 1, timestamps: [startSeconds + 2, startSeconds + 3], values: [99, null] };
    await storeChunk(server, dataId, 'v', replaced, 'K');
    const { json } = await server.get(url);
    expect(json.properties.v.values).toEqual([0, 99, 8, 15]);
    expect(json.gaps).toEqual({ v: [] });
    expect(json.down_sampled).toEqual({ v: true });
    const none = (await server.get(`${url}&property_names=gone`)).json;
    expect(none.down_sampled).toEqual({});
  });

  test('says of readings that share a millisecond whether all of them are there', async () => {
    const dataId = await openStream(server);
    const timestamps = Array.from({ length: 12 }, (_, i) => startSeconds + i * 0.000_25);
    await storeChunk(server, dataId, 'v', { chunk_index: 0, timestamps, values: timestamps.map((_, i) => i) }, 'K');
    const at = async (max: number) => (await server.get(`/tool-state/${dataId}/timeseries/?max_points=${max}`)).json;
    expect(await at(20)).toMatchObject({ down_sampled: { v: false } });
    expect((await at(20)).properties.v.values).toHaveLength(12);
    expect(await at(5)).toMatchObject({ down_sampled: { v: true } });
  });

  test('counts for each channel, and takes windows', async () => {
    const dataId = await openStream(server, 100);
    for (const name of ['v', 'w']) await fillChannel(server, dataId, name, { chunks: 50, points: 100 });
    const window = `start=${startSeconds + 10}&end=${startSeconds + 40}`;
    const { json } = await server.get(`/metrology/${dataId}/timeseries/?max_points=30&${window}`);
    const whole = (await server.get(`/tool-state/${dataId}/timeseries/?${window}`)).json;
    for (const name of ['v', 'w']) {
      const [few, all] = [json.properties[name], whole.properties[name]];
      expect(few.values).toHaveLength(30);
      expect(Math.max(...few.values)).toBe(Math.max(...all.values));
      expect(Math.min(...few.values)).toBe(Math.min(...all.values));
      const stored = new Map(all.unix_timestamp_ms.map((ms: number, i: number) => [ms, all.values[i]]));
      few.unix_timestamp_ms.forEach((ms: number, i: number) => {
        expect(stored.get(ms)).toBe(few.values[i]);
      });
    }
    expect(json.gaps).toEqual({ v: [], w: [] });
    const names = await server.get(`/tool-state/${dataId}/timeseries/?max_points=30&available_properties=true`);
    expect([names.json.properties, names.json.gaps]).toEqual([{}, {}]);
  });
});

describe('the cost of a window', () => {
  const small = { chunks: 40, points: 50 };
  const large = { chunks: 4_000, points: 50 };
  let streams: { small: string; large: string };
  beforeAll(async () => {
    streams = { small: await openStream(server, 50), large: await openStream(server, 50) };
    await fillChannel(server, streams.small, 'v', small);
    await fillChannel(server, streams.large, 'v', large);
  }, 30_000);

  // The small channel is 20 s long, the large one 2,000 s.
  const windows: [string, { small: string; large: string }][] = [
    ['from start to end', { small: 'start=1700000010&end=1700000014', large: 'start=1700001010&end=1700001014' }],
    ['from start on', { small: 'start=1700000016', large: 'start=1700001996' }],
    ['up to end', { small: 'end=1700000004', large: 'end=1700000004' }],
    ['last_n', { small: 'last_n=400', large: 'last_n=400' }],
    ['last_n up to end', { small: 'last_n=400&end=1700000014', large: 'last_n=400&end=1700001014' }],
    ['elapsed_seconds', { small: 'elapsed_seconds=16', large: 'elapsed_seconds=1996' }],
  ];
  const cases = windows.flatMap(([name, queries]) => [
    [name, queries] as const,
    [
      `${name}, down-sampled`,
      { small: `${queries.small}&max_points=10`, large: `${queries.large}&max_points=10` },
    ] as const,
  ]);

  test.each(['', 'analyze chunks'])('does not grow with what lies outside of it (%s)', async (prepare) => {
    if (prepare !== '') await server.owner.pool.query(prepare);
    for (const [name, queries] of cases) {
      const pages = {
        small: await pagesOf(server, `/tool-state/${streams.small}/timeseries/?${queries.small}`),
        large: await pagesOf(server, `/tool-state/${streams.large}/timeseries/?${queries.large}`),
      };
      // An index of a hundred times the chunks may be a level deeper, for each of the look-ups of a gap as well.
      // In a cluster the two streams may lie in tables of different sizes.
      expect(pages.large, `${name}: ${JSON.stringify(pages)}`).toBeLessThanOrEqual(pages.small + (onCluster ? 24 : 12));
      expect(pages.large, name).toBeLessThan(100);
    }
  });
});
