import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { openStream } from './support/storing.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const begin = 1_769_846_400;
const pointsPerChunk = 1_000;

async function streamOf(times: number[]): Promise<string> {
  const dataId = await openStream(server, pointsPerChunk);
  for (let chunk_index = 0; chunk_index * pointsPerChunk < times.length; chunk_index++) {
    const timestamps = times.slice(chunk_index * pointsPerChunk, (chunk_index + 1) * pointsPerChunk);
    const values = timestamps.map((_, i) => (chunk_index === 3 && i === 500 ? 99 : Math.sin(i)));
    const body = { data_id: dataId, channel_name: 'v', chunk_index, timestamps, values };
    expect((await server.post('/metrology/stream/chunk', body)).status).toBe(201);
  }
  return dataId;
}

async function downSampled(dataId: string) {
  const { status, json } = await server.get(`/tool-state/${dataId}/timeseries/?max_points=2000`);
  expect(status).toBe(200);
  return json.properties.v;
}

async function irregularOf(dataId: string) {
  return (await server.get(`/metrology/stream/${dataId}/chunks`)).json.channels[0].irregular;
}

test('one wrong time leaves the shape of the others, and the ledger tells where it is', async () => {
  const times = Array.from({ length: 20_000 }, (_, i) => (i === 0 ? 0 : begin + i / 10));
  const dataId = await streamOf(times);
  const { values, relative_time_seconds, unix_timestamp_ms } = await downSampled(dataId);
  expect(values.length).toBeGreaterThanOrEqual(1_900);
  expect(values.length).toBeLessThanOrEqual(2_000);
  expect(Math.max(...values)).toBe(99);
  // Relative times count from the earliest time that there is, which is the wrong one, so they tell of it too.
  expect(relative_time_seconds).toEqual(unix_timestamp_ms.map((ms: number) => ms / 1_000));
  expect(await irregularOf(dataId)).toMatchObject([
    { chunk_index: 0, chunk_count: 1, irregularities: ['time_jump', 'implausible_times'] },
  ]);
});

test('a pause of days leaves the shape of what lies beside it, and the ledger tells after which chunk it was', async () => {
  const times = Array.from({ length: 10_000 }, (_, i) => begin + i / 10 + (i < 5_000 ? 0 : 2.5 * 86_400));
  const dataId = await streamOf(times);
  const { values, unix_timestamp_ms } = await downSampled(dataId);
  expect(values.length).toBeGreaterThanOrEqual(1_900);
  const before = unix_timestamp_ms.filter((ms: number) => ms < (begin + 1_000) * 1_000).length;
  expect(Math.abs(before - values.length / 2)).toBeLessThan(50);
  expect(await irregularOf(dataId)).toMatchObject([{ chunk_index: 5, chunk_count: 1, irregularities: ['time_jump'] }]);
});
