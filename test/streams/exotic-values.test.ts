import { afterAll, beforeAll, expect, test } from 'vitest';
import { streamLimits } from '../../src/streams/limits.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { chunkBody, openStream } from './support/chunks.ts';

/* Numbers that no instrument should send, and some do: stored bit for bit, and no reading route stumbles over them. */

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const now = 1_705_312_200.5;

test.each<[string, (number | null)[], (number | null)[]]>([
  [
    'denormals and the ends of float64',
    [5e-324, 2.2e-308, 1.7976931348623157e308],
    [5e-324, -5e-324, -1.7976931348623157e308],
  ],
  ['both zeros', [-0, 0, 1], [-0, 0, -0]],
  ['2^53 and beyond', [2 ** 53, 2 ** 53 + 2, 2 ** 63, 2 ** 64], [2 ** 53 - 1, 2 ** 53, 2 ** 63, -(2 ** 64)]],
  ['seconds, ms, µs and ns of one instant', [now, now * 1e3, now * 1e6, now * 1e9], [1, 2, 3, 4]],
  ['the years 1900, 1970 and 2300', [-2_208_988_800, 0, 10_413_792_000], [1, 2, 3]],
  ['before the year 1 and after 9999', [-62_135_596_801, 253_402_300_800, -8.64e12, 8.64e12], [1, 2, 3, 4]],
  ['descending and equal times', [3, 2, 2, 1], [1, 2, 3, 4]],
  ['nothing but null', [null, null], [null, null]],
])('%s', async (_what, timestamps, values) => {
  const dataId = await openStream(server, { points_per_chunk: 4 });
  const body = chunkBody(dataId, 0, 'p', values, { timestamps });
  expect((await server.post('/metrology/stream/chunk', body)).status).toBe(201);
  const again = await server.post('/metrology/stream/chunk', body);
  expect(again.headers['chunk-outcome']).toBe('unchanged');

  const { json } = await server.get(`/metrology/${dataId}/points/?channel=p`);
  expect(json.chunks[0]).toMatchObject({ timestamps, values });
  for (const path of [
    `/metrology/${dataId}/timeseries/`,
    `/metrology/${dataId}/timeseries/?max_points=4`,
    `/tool-state/${dataId}/timeseries/?last_n=1`,
    `/rheed/timeseries/${dataId}/`,
    `/data_entries/raw_data/staged/timeseries/${dataId}`,
    `/data_entries/?data_ids=${dataId}`,
    `/metrology/stream/${dataId}/chunks`,
    `/metrology/stream/${dataId}/certificate`,
    `/exports/${dataId}/metadata/`,
  ]) {
    const answer = await server.get(path);
    expect([answer.status, answer.json === undefined], `${path} ${answer.text}`).toEqual([200, false]);
  }
  for (const query of ['', 'format=parquet', 'layout=wide', 'layout=wide&format=parquet']) {
    const answer = await server.get(`/exports/${dataId}/?${query}`);
    expect(answer.status, `${query} ${answer.text}`).toBe(200);
  }
  // Only what can be a date has ms, and one point for each.
  const shown = (await server.get(`/tool-state/${dataId}/timeseries/`)).json.properties.p?.unix_timestamp_ms ?? [];
  const ms = timestamps.filter((time) => time !== null).map((time) => Math.round(time * 1_000) + 0);
  const possible = [...new Set(ms.filter((one) => Math.abs(one) <= 8.64e15))].sort((one, other) => one - other);
  expect(shown).toEqual(possible);
});

test('as many channels as one request may hold are stored and named one by one', async () => {
  const dataId = await openStream(server, { points_per_chunk: 1 });
  const names = Array.from({ length: streamLimits.channelsPerRequestMax }, (_, i) => `channel ${i}`);
  const channels = Object.fromEntries(names.map((name, i) => [name, { timestamps: [1], values: [i] }]));
  const { status, json } = await server.post('/metrology/stream/chunk/multi', {
    data_id: dataId,
    chunk_index: 0,
    channels,
  });
  expect(status).toBe(201);
  expect(json.map((receipt: { channel_name: string }) => receipt.channel_name)).toEqual(names);
  const { json: read } = await server.get(`/metrology/${dataId}/points/?channel=channel 9999`);
  expect(read.chunks[0].values).toEqual([9_999]);
});
