import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { openStream, storeChunk } from './support/storing.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({}, { points: { planPageChunksMax: 3 } });
});
afterAll(() => server.close());

const begin = 1_769_846_400;

describe('last_n of stored points is by their place', () => {
  let dataId: string;
  const all = Array.from({ length: 60 }, (_, i) => i);
  beforeAll(async () => {
    dataId = await openStream(server, 5);
    // Half way the clock is set back by an hour, and one point has none; chunk 5 is lost.
    for (let chunk_index = 0; chunk_index < 12; chunk_index++) {
      if (chunk_index === 5) continue;
      const values = all.slice(5 * chunk_index, 5 * chunk_index + 5);
      const timestamps = values.map((n) => (n === 57 ? null : begin + n - (chunk_index < 6 ? 0 : 3_600)));
      await storeChunk(server, dataId, 'v', { chunk_index, timestamps, values });
    }
  });
  const read = async (query: string) => {
    const { status, json, text } = await server.get(`/metrology/${dataId}/points/?channel=v&${query}`);
    expect(status, text).toBe(200);
    return json.chunks as { chunk_index: number; start_offset: number; values: number[]; timestamps: number[] }[];
  };
  const stored = all.filter((n) => n < 25 || n >= 30);

  test.each([1, 2, 5, 7, 11, 30, 54, 55, 56, 1_000_000, Number.MAX_SAFE_INTEGER])('%s', async (n) => {
    const chunks = await read(`last_n=${n}`);
    expect(chunks.flatMap(({ values }) => values)).toEqual(stored.slice(-n));
    // Offsets are those of the points that are shown.
    for (const { start_offset, values } of chunks) expect(start_offset).toBe(values[0]);
  });

  test.each(['from_chunk=12', 'from_chunk=5&to_chunk=5', `to_chunk=${Number.MAX_SAFE_INTEGER}&from_chunk=13`])(
    'where there is no chunk there is no point: %s',
    async (range) => {
      expect(await read(`last_n=3&${range}`)).toEqual([]);
    },
  );

  test('shows the new hour, where last_n of a time series shows the latest times', async () => {
    expect((await read('last_n=2')).flatMap(({ values }) => values)).toEqual([58, 59]);
    const { json } = await server.get(`/metrology/${dataId}/timeseries/?last_n=2`);
    expect(json.properties.v.values).toEqual([23, 24]);
  });

  test('of some chunks only', async () => {
    const values = async (query: string) => (await read(query)).flatMap((chunk) => chunk.values);
    expect(await values('last_n=7&to_chunk=6')).toEqual([23, 24, 30, 31, 32, 33, 34]);
    expect(await values('last_n=50&from_chunk=10')).toEqual(all.slice(50));
    expect(await values('last_n=3&from_chunk=5&to_chunk=5')).toEqual([]);
  });

  test.each(['last_n=0', 'last_n=1.5', 'last_n=-1', 'last_n=1&carry_in=true'])('%s is refused', async (query) => {
    expect((await server.get(`/metrology/${dataId}/points/?channel=v&${query}`)).status).toBe(422);
  });
});

describe('max_points shows points that share a millisecond, where there is room for them', () => {
  const count = 2_000;
  const values = Array.from({ length: count }, (_, i) => i);
  let dataId: string;
  beforeAll(async () => {
    dataId = await openStream(server, count);
    // 10 kHz, and a channel of whole milliseconds beside it.
    const fast = values.map((n) => begin + n / 10_000);
    await storeChunk(server, dataId, 'fast', { chunk_index: 0, timestamps: fast, values });
    const slow = values.slice(0, 200).map((n) => begin + n / 1_000);
    await storeChunk(server, dataId, 'slow', { chunk_index: 0, timestamps: slow, values: values.slice(0, 200) });
  });
  const read = async (query: string, room = 'tool-state') => {
    const { status, json, text } = await server.get(`/${room}/${dataId}/timeseries/?${query}`);
    expect(status, text).toBe(200);
    return json;
  };

  test('all of them, each at its own time', async () => {
    const { fast, slow } = (await read(`max_points=${count}`)).properties;
    expect(fast.values).toEqual(values);
    fast.unix_timestamp_ms.forEach((ms: number, i: number) => void expect(ms).toBeCloseTo(begin * 1_000 + i / 10, 3));
    fast.relative_time_seconds.forEach((at: number, i: number) => void expect(at).toBeCloseTo(i / 10_000, 6));
    expect(new Set(fast.unix_timestamp_ms).size).toBe(count);
    expect(slow.unix_timestamp_ms).toEqual(values.slice(0, 200).map((n) => begin * 1_000 + n));
    const { series, properties } = await read(`max_points=${count}&property_names=fast`, 'metrology');
    expect(series.map((row: { fast: number }) => row.fast)).toEqual(values);
    expect(series.map((row: { unix_timestamp_ms: number }) => row.unix_timestamp_ms)).toEqual(
      properties.fast.unix_timestamp_ms,
    );
  });

  test('one of each without max_points; without room for all, the extremes of equal parts at their own times', async () => {
    const plain = (await read('')).properties;
    expect(plain.fast.values).toHaveLength(201);
    expect(plain.fast.unix_timestamp_ms).toEqual(Array.from({ length: 201 }, (_, i) => begin * 1_000 + i));
    const all = (await read(`max_points=${count}`)).properties.fast;
    const { fast } = (await read('max_points=400')).properties;
    // Values rise, so of ten points the first and the last are shown.
    const places = values.filter((n) => n % 10 === 0 || n % 10 === 9);
    expect(fast.values).toEqual(places);
    expect(fast.unix_timestamp_ms).toEqual(places.map((n) => all.unix_timestamp_ms[n]));
    expect((await read(`max_points=${count - 1}`)).properties.fast.values).toContain(count - 1);
    const { series } = await read('max_points=400&property_names=fast', 'metrology');
    expect(series.map((row: { fast: number }) => row.fast)).toEqual(places);
    expect((await read('max_points=100')).properties.fast.values.length).toBeLessThanOrEqual(100);
  });
});
