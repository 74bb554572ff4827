import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { openStream, storeChunk } from './support/storing.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const routes = [
  (id: string) => `/tool-state/${id}/timeseries/`,
  (id: string) => `/metrology/${id}/timeseries/`,
  (id: string) => `/rheed/timeseries/${id}/`,
  (id: string) => `/tool-state/${id}/points/?channel=v`,
  (id: string) => `/metrology/${id}/points/?channel=v`,
];

async function streamOf(channels: Record<string, [number | null, number | null][]>, units?: string): Promise<string> {
  const dataId = await openStream(server);
  for (const [name, points] of Object.entries(channels)) {
    const chunk = {
      chunk_index: 0,
      timestamps: points.map(([time]) => time),
      values: points.map(([, value]) => value),
    };
    await storeChunk(server, dataId, name, chunk, units);
  }
  return dataId;
}

describe('whose data', () => {
  test.each(routes.map((route) => [route]))('%s: unknown and foreign ids are answered alike', async (route) => {
    const dataId = await streamOf({ v: [[1, 2]] });
    const [unknown, foreign] = [
      await server.get(route(randomUUID())),
      await server.get(route(dataId), server.keys.rival),
    ];
    expect([unknown.status, foreign.status]).toEqual([404, 404]);
    expect(foreign.json).toEqual({ detail: 'data_id not found' });
    expect(unknown.text).toBe(foreign.text);
    expect((await server.get(route(dataId), null)).status).toBe(401);
    expect((await server.get(route(dataId), server.keys.grace)).status).toBe(200);
  });

  test.each(routes.map((route) => [route]))('%s: a malformed id is refused by name', async (route) => {
    const answer = await server.get(route('7'));
    expect(answer.status).toBe(422);
    expect(answer.json.detail[0].loc).toEqual(['path', 'data_id']);
  });

  test('an id in capitals is the same stream and is answered in lower case', async () => {
    const dataId = await streamOf({ v: [[1, 2]] });
    const answer = await server.get(`/tool-state/${dataId.toUpperCase()}/timeseries/`);
    expect(answer.json.data_id).toBe(dataId);
  });

  test('return_null_if_missing turns the 404 into null', async () => {
    const dataId = await streamOf({ v: [[1, 2]] });
    for (const room of ['tool-state', 'metrology']) {
      const url = `/${room}/${randomUUID()}/timeseries/?return_null_if_missing=`;
      const missing = await server.get(`${url}True`);
      expect([missing.status, missing.text]).toEqual([200, 'null']);
      expect(missing.headers['content-type']).toContain('application/json');
      expect((await server.get(`${url}False`)).status).toBe(404);
      const foreign = `/${room}/${dataId}/timeseries/?return_null_if_missing=true`;
      expect((await server.get(foreign, server.keys.rival)).text).toBe('null');
      expect((await server.get(foreign)).json.data_id).toBe(dataId);
    }
  });
});

describe('shape', () => {
  test('a stream with two channels, to the letter', async () => {
    const dataId = await streamOf(
      {
        T: [
          [1_700_000_000, 25],
          [1_700_000_001.5, null],
        ],
        p: [[1_700_000_000.25, -0]],
      },
      'C',
    );
    const head =
      `{"data_id":"${dataId}","series_max_time":1.5,"property_units":{"T":"C","p":"C"},` +
      '"available_property_names":["T","p"],"properties":{' +
      '"T":{"values":[25.0,null],"relative_time_seconds":[0.0,1.5],"unix_timestamp_ms":[1700000000000,1700000001500],"units":"C"},' +
      '"p":{"values":[-0.0],"relative_time_seconds":[0.25],"unix_timestamp_ms":[1700000000250],"units":"C"}}';
    const rows =
      '[{"unix_timestamp_ms":1700000000000,"relative_time_seconds":0.0,"T":25.0},' +
      '{"unix_timestamp_ms":1700000000250,"relative_time_seconds":0.25,"p":-0.0},' +
      '{"unix_timestamp_ms":1700000001500,"relative_time_seconds":1.5,"T":null}]';
    const toolState = await server.get(`/tool-state/${dataId}/timeseries/`);
    expect(toolState.text).toBe(`${head}}`);
    expect(toolState.headers['content-type']).toBe('application/json; charset=utf-8');
    expect((await server.get(`/metrology/${dataId}/timeseries/`)).text).toBe(`${head},"series":${rows}}`);
    expect((await server.get(`/rheed/timeseries/${dataId}/`)).text).toBe(
      `{"series_by_angle":[{"angle":0,"series":${rows}}]}`,
    );
    expect((await server.get(`/rheed/timeseries/${dataId}/?include_low_level_features=True&last_n=1`)).text).toBe(
      `{"series_by_angle":[{"angle":0,"series":[${rows
        .slice(1, -1)
        .split(/(?<=\}),/)
        .at(-1)}]}]}`,
    );
  });

  test('a stream without points is empty in every shape', async () => {
    const dataId = await openStream(server);
    const empty = {
      data_id: dataId,
      series_max_time: null,
      property_units: {},
      available_property_names: [],
      properties: {},
    };
    expect((await server.get(`/tool-state/${dataId}/timeseries/`)).json).toEqual(empty);
    expect((await server.get(`/metrology/${dataId}/timeseries/?last_n=3`)).json).toEqual({ ...empty, series: [] });
    expect((await server.get(`/rheed/timeseries/${dataId}/`)).json).toEqual({ series_by_angle: [] });
    expect((await server.get(`/tool-state/${dataId}/points/?channel=v`)).status).toBe(404);
  });

  test('a channel without a possible time is named, raw it is there, but it has no points to show', async () => {
    const dataId = await streamOf({
      v: [
        [null, 1],
        [1e300, 2],
        [-8.64e12 - 0.01, 3],
      ],
      w: [[8.64e12, 4]],
    });
    const { json } = await server.get(`/metrology/${dataId}/timeseries/`);
    expect(json.available_property_names).toEqual(['v', 'w']);
    expect(Object.keys(json.properties)).toEqual(['w']);
    expect(json.series).toEqual([{ unix_timestamp_ms: 8.64e15, relative_time_seconds: 0, w: 4 }]);
    const raw = await server.get(`/metrology/${dataId}/points/?channel=v`);
    expect(raw.json.chunks[0].timestamps).toEqual([null, 1e300, -8.64e12 - 0.01]);
  });

  test('times that are no epoch count from the earliest of all channels', async () => {
    const dataId = await streamOf({
      v: [
        [0.01, 1],
        [0, 2],
        [0.0104, 3],
        [-0.5, 4],
      ],
      w: [[-1, 5]],
    });
    const { json } = await server.get(`/tool-state/${dataId}/timeseries/?property_names=v`);
    expect(json.properties.v.unix_timestamp_ms).toEqual([-500, 0, 10]);
    expect(json.properties.v.relative_time_seconds).toEqual([0.5, 1, 1.01]);
    expect(json.properties.v.values).toEqual([4, 2, 3]);
    expect(json.properties.w).toBeUndefined();
  });
});

describe('one point per ms', () => {
  test('the later time wins, then the higher chunk index, then the later position', async () => {
    const dataId = await openStream(server, 3);
    await storeChunk(server, dataId, 'v', { chunk_index: 7, timestamps: [5, 6.0001, 7, 7], values: [1, 2, 3, 4] });
    await storeChunk(server, dataId, 'v', { chunk_index: 3, timestamps: [5, 6.0002, 7], values: [5, 6, 7] });
    const { v } = (await server.get(`/tool-state/${dataId}/timeseries/`)).json.properties;
    expect(v.unix_timestamp_ms).toEqual([5_000, 6_000, 7_000]);
    expect(v.values).toEqual([1, 6, 4]);
  });

  test('a replaced chunk shows its new points only', async () => {
    const dataId = await openStream(server, 3);
    await storeChunk(server, dataId, 'v', { chunk_index: 0, timestamps: [5, 6, 7], values: [1, 2, 3] });
    await storeChunk(server, dataId, 'v', { chunk_index: 0, timestamps: [8], values: [9] });
    const { json } = await server.get(`/metrology/${dataId}/timeseries/`);
    expect(json.series).toEqual([{ unix_timestamp_ms: 8_000, relative_time_seconds: 0, v: 9 }]);
    expect(json.series_max_time).toBe(0);
  });
});

describe('names', () => {
  const reserved = ['Time', 'UNIX Timestamp', 'unix_timestamp_ms', 'relative_time_seconds', 'timestamp_s'];

  test('names that break the SDK are renamed, without collisions', async () => {
    const names = [...reserved, 'Time (channel)', 'Time (channel 2)', 'UNIX Timestamp (channel 2)'];
    const dataId = await streamOf(Object.fromEntries(names.map((name, i) => [name, [[1, i]]])));
    const { json } = await server.get(`/metrology/${dataId}/timeseries/`);
    const expected = {
      'Time (channel 3)': 0,
      'UNIX Timestamp (channel)': 1,
      'unix_timestamp_ms (channel)': 2,
      'relative_time_seconds (channel)': 3,
      'timestamp_s (channel)': 4,
      'Time (channel)': 5,
      'Time (channel 2)': 6,
      'UNIX Timestamp (channel 2)': 7,
    };
    expect(json.series).toEqual([{ unix_timestamp_ms: 1_000, relative_time_seconds: 0, ...expected }]);
    const values = Object.entries<{ values: number[] }>(json.properties).map(([name, one]) => [name, one.values[0]]);
    expect(Object.fromEntries(values)).toEqual(expected);
    expect(json.available_property_names.toSorted()).toEqual(Object.keys(expected).sort());
    expect(Object.keys(json.property_units).sort()).toEqual(Object.keys(expected).sort());
    const one = await server.get(`/tool-state/${dataId}/timeseries/?property_names=Time+%28channel+3%29`);
    expect(Object.keys(one.json.properties)).toEqual(['Time (channel 3)']);
    const raw = await server.get(`/tool-state/${dataId}/points/?channel=Time`);
    expect(raw.json.chunks[0].values).toEqual([0]);
  });

  test('the RHEED shape keeps its own columns', async () => {
    const names = [
      'frame_number',
      'Angle',
      'View ID',
      'low_level_features',
      'tar_metric',
      'Relative Time',
      'thickness',
    ];
    const dataId = await streamOf(Object.fromEntries(names.map((name, i) => [name, [[1, i]]])));
    const { json } = await server.get(`/rheed/timeseries/${dataId}/`);
    expect(Object.keys(json.series_by_angle[0].series[0]).sort()).toEqual(
      [
        'unix_timestamp_ms',
        'relative_time_seconds',
        'thickness',
        ...names.slice(0, -1).map((name) => `${name} (channel)`),
      ].sort(),
    );
    const toolState = await server.get(`/tool-state/${dataId}/timeseries/`);
    expect(Object.keys(toolState.json.properties).sort()).toEqual(names.sort());
  });

  test('every other name is a key as it stands', async () => {
    const names = ['__proto__', 'constructor', 'toString', 'a/b %', 'µ', '😀', '"\\\n', ' ', '0', 'x'.repeat(255)];
    const dataId = await openStream(server);
    for (const [i, name] of names.entries()) {
      await storeChunk(server, dataId, name, { chunk_index: 0, timestamps: [1], values: [i] });
    }
    const { json } = await server.get(`/metrology/${dataId}/timeseries/`);
    const row = new Map(Object.entries(json.series[0]));
    const properties = new Map(Object.entries<{ values: number[] }>(json.properties));
    for (const [i, name] of names.entries()) {
      expect(row.get(name)).toBe(i);
      expect(properties.get(name)?.values).toEqual([i]);
      const raw = await server.get(`/metrology/${dataId}/points/?channel=${encodeURIComponent(name)}`);
      expect([raw.json.channel_name, raw.json.chunks[0].values]).toEqual([name, [i]]);
    }
    const chosen = await server.get(
      `/tool-state/${dataId}/timeseries/?property_names=__proto__&property_names=a%2Fb+%25&property_names=no`,
    );
    expect(Object.keys(chosen.json.properties)).toEqual(['__proto__', 'a/b %']);
  });
});

describe('windows', () => {
  test('last_n counts per property; elapsed_seconds counts from the earliest point of the stream', async () => {
    const dataId = await streamOf({
      v: [
        [10, 1],
        [11, 2],
        [12, 3],
      ],
      w: [
        [10.5, 4],
        [20, 5],
      ],
    });
    const lastTwo = (await server.get(`/metrology/${dataId}/timeseries/?last_n=2`)).json;
    expect([lastTwo.properties.v.values, lastTwo.properties.w.values]).toEqual([
      [2, 3],
      [4, 5],
    ]);
    expect(lastTwo.properties.v.relative_time_seconds).toEqual([1, 2]);
    expect(lastTwo.series.map((row: object) => Object.values(row).at(-1))).toEqual([4, 2, 3, 5]);
    const late = (await server.get(`/tool-state/${dataId}/timeseries/?elapsed_seconds=1.5`)).json;
    expect([late.properties.v.values, late.properties.w.values]).toEqual([[3], [5]]);
    const exact = (await server.get(`/tool-state/${dataId}/timeseries/?elapsed_seconds=2`)).json;
    expect(exact.properties.v.values).toEqual([3]);
    const past = (await server.get(`/metrology/${dataId}/timeseries/?elapsed_seconds=1e9&last_n=1`)).json;
    expect([past.properties.v.values, past.series]).toEqual([[], []]);
    const rows = (await server.get(`/rheed/timeseries/${dataId}/?last_n=2`)).json.series_by_angle[0].series;
    expect(rows.map((row: { relative_time_seconds: number }) => row.relative_time_seconds)).toEqual([2, 10]);
  });

  test('available_properties gives names and units, and no data', async () => {
    const dataId = await streamOf({ v: [[10, 1]] }, 'nm');
    const { json } = await server.get(`/metrology/${dataId}/timeseries/?available_properties=True`);
    expect(json).toEqual({
      data_id: dataId,
      series_max_time: 0,
      property_units: { v: 'nm' },
      available_property_names: ['v'],
      properties: {},
      series: [],
    });
  });

  test.each([
    'last_n=0',
    'last_n=1.5',
    'last_n=x',
    'elapsed_seconds=x',
    'elapsed_seconds=1e999',
    'available_properties=2',
  ])('%s is refused by name', async (query) => {
    const dataId = await openStream(server);
    const answer = await server.get(`/tool-state/${dataId}/timeseries/?${query}`);
    expect(answer.status).toBe(422);
    expect(answer.json.detail[0].loc).toEqual(['query', query.split('=')[0]]);
  });
});

describe('raw points', () => {
  test('chunks in order of index, as they were sent', async () => {
    const dataId = await openStream(server, 2);
    await storeChunk(server, dataId, 'v', { chunk_index: 9, timestamps: [1.5, 1.5], values: [0.1, null] }, 'nm');
    await storeChunk(server, dataId, 'v', { chunk_index: 2, timestamps: [null, 7, 3], values: [-0, 5e-324, 1e21] });
    const { text } = await server.get(`/tool-state/${dataId}/points/?channel=v`);
    expect(text).toBe(
      `{"data_id":"${dataId}","channel_name":"v","units":"nm","points_per_chunk":2,"point_count":5,"chunks":[` +
        '{"chunk_index":2,"start_offset":4,"units":null,"timestamps":[null,7.0,3.0],"values":[-0.0,5e-324,1e+21]},' +
        '{"chunk_index":9,"start_offset":18,"units":"nm","timestamps":[1.5,1.5],"values":[0.1,null]}]}',
    );
    const part = (await server.get(`/metrology/${dataId}/points/?channel=v&from_chunk=3&to_chunk=9`)).json;
    expect(part.chunks.map((one: { chunk_index: number }) => one.chunk_index)).toEqual([9]);
    const none = (await server.get(`/metrology/${dataId}/points/?channel=v&from_chunk=3&to_chunk=8`)).json;
    expect([none.chunks, none.point_count]).toEqual([[], 5]);
  });

  test('an unknown channel is 404, a missing or impossible parameter 422', async () => {
    const dataId = await streamOf({ v: [[1, 1]] });
    const unknown = await server.get(`/tool-state/${dataId}/points/?channel=w`);
    expect([unknown.status, unknown.json]).toEqual([404, { detail: 'channel not found' }]);
    for (const [query, field] of [
      ['', 'channel'],
      ['channel=v&from_chunk=-1', 'from_chunk'],
      ['channel=v&to_chunk=1e300', 'to_chunk'],
    ]) {
      const answer = await server.get(`/tool-state/${dataId}/points/?${query}`);
      expect([answer.status, answer.json.detail[0].loc]).toEqual([422, ['query', field]]);
    }
  });
});
