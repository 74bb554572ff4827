import { parquetMetadata, parquetReadObjects } from 'hyparquet';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { joinTestServer, startTestServer, type TestServer } from '../support/test-server.ts';
import { openStream, storeChunk } from '../timeseries/support/storing.ts';

/* Every bound of reading, made so small that a few points meet it: answers stay what they are. */

let server: TestServer;
let small: TestServer;
let dataId: string;
beforeAll(async () => {
  server = await startTestServer();
  small = await joinTestServer(server, {}, undefined, {
    points: {
      pagePointsMax: 7,
      seriesPagePointsMax: 7,
      pageChunksMax: 3,
      bufferPointsMax: 9,
      mergedPointsMax: 2,
      sharePointsMin: 2,
      planPageChunksMax: 3,
      usualBytesMax: 0,
    },
    timeseries: { downSampledPointsMin: 6, downSampledPointsMax: 20, timesBytesMax: 0 },
    exports: {
      streamsMax: 1,
      channelsMax: 3,
      columnsMax: 2,
      csvRowsMax: 3,
      groupRowsMax: 5,
      groupCellsMax: 8,
      groupRowsMin: 2,
    },
  });
  dataId = await openStream(server, 4);
  for (const [i, name] of ['a', 'b', 'c'].entries()) {
    for (let chunk_index = 0; chunk_index < 8; chunk_index++) {
      // Each chunk overlaps the two after it, so more points wait than the small buffer holds.
      const timestamps = Array.from({ length: 4 }, (_, k) => 1_000 + chunk_index + k * 0.75 + i * 0.25);
      const values = timestamps.map((time, k) => (k === 2 ? null : time * (i + 1)));
      await storeChunk(server, dataId, name, { chunk_index, timestamps, values });
    }
  }
});
afterAll(async () => {
  await small.close();
  await server.close();
});

const same = async (url: string) => {
  const expected = await server.get(url);
  expect(expected.status, url).toBe(200);
  expect((await small.get(url)).text, url).toBe(expected.text);
};

test('pages, buffers, remembered times and batches of rows do not show in an answer', async () => {
  for (const query of ['', '?last_n=5', '?start=1003&end=1008', '?max_points=10', '?max_points=6&last_n=30']) {
    await same(`/metrology/${dataId}/timeseries/${query}`);
  }
  await same(`/rheed/timeseries/${dataId}/?last_n=11`);
  await same(`/data_entries/raw_data/staged/timeseries/${dataId}`);
  await same(`/metrology/${dataId}/points/?channel=b`);
  await same(`/exports/${dataId}?layout=long`);
  await same(`/exports/${dataId}?layout=wide&channel_names=a&channel_names=c`);
}, 60_000);

test('row groups of Parquet are as large as they are allowed to be, and hold the same rows', async () => {
  for (const [layout, largest] of [
    ['long', 5],
    ['wide', 2],
  ] as const) {
    const url = `/exports/${dataId}?format=parquet&layout=${layout}&channel_names=a&channel_names=b`;
    const [whole, grouped] = await Promise.all([fileOf(server, url), fileOf(small, url)]);
    const rows = parquetMetadata(grouped).row_groups.map((group) => Number(group.num_rows));
    expect(Math.max(...rows)).toBe(largest);
    expect(parquetMetadata(whole).row_groups).toHaveLength(1);
    expect(await parquetReadObjects({ file: grouped })).toEqual(await parquetReadObjects({ file: whole }));
  }
});

async function fileOf({ app, keys }: TestServer, url: string): Promise<ArrayBuffer> {
  const { rawPayload } = await app.inject({ method: 'GET', url, headers: { 'x-api-key': keys.ada } });
  return Uint8Array.from(rawPayload).buffer;
}

describe('a bound stands in the error that it causes', () => {
  test.each([
    ['max_points=5', '>= 6'],
    ['max_points=21', '<= 20'],
  ])('%s', async (query, words) => {
    const { status, text } = await small.get(`/metrology/${dataId}/timeseries/?${query}`);
    expect([status, text]).toEqual([422, expect.stringContaining(words)]);
  });

  test.each([
    ['rowChannelsMax', { rowChannelsMax: 2 }, 'rows of 3 channels', 'at most 2', 'property_names'],
    [
      'heldPointsMax',
      { heldPointsMax: 20, pagePointsMax: 4, sharePointsMin: 4, bufferPointsMax: 4 },
      'hold',
      'at most 20',
      'property_names',
    ],
    ['plannedChunksMax', { plannedChunksMax: 7 }, 'more than 7 chunks', 'window', 'long layout'],
  ])('%s of rows', async (name, points, ...words) => {
    const narrow = await joinTestServer(server, {}, undefined, { points });
    try {
      for (const path of [
        `/metrology/${dataId}/timeseries/`,
        `/rheed/timeseries/${dataId}/?last_n=1000`,
        `/exports/${dataId}?layout=wide`,
      ]) {
        const { status, text } = await narrow.get(path);
        expect([status, text], path).toEqual([422, expect.stringContaining(name)]);
        for (const word of words) expect(text, path).toContain(word);
      }
      const byProperty = await narrow.get(`/tool-state/${dataId}/timeseries/`);
      expect(byProperty.status).toBe(name === 'plannedChunksMax' ? 422 : 200);
      // The ways round.
      const shorter = `property_names=a&start=1000&end=1000`;
      expect((await narrow.get(`/metrology/${dataId}/timeseries/?${shorter}`)).status).toBe(200);
      expect((await narrow.get(`/metrology/${dataId}/points/?channel=a`)).status).toBe(200);
      expect((await narrow.get(`/exports/${dataId}?layout=long`)).status).toBe(200);
    } finally {
      await narrow.close();
    }
  });

  test('of exports', async () => {
    const wide = await small.get(`/exports/${dataId}?layout=wide`);
    expect([wide.status, wide.text]).toEqual([422, expect.stringContaining('at most 2 different channels')]);
    const other = await openStream(server, 4);
    const two = await small.get(`/exports?data_ids=${dataId}&data_ids=${other}`);
    expect([two.status, two.text]).toEqual([422, expect.stringContaining('at most 1 streams')]);
    await storeChunk(server, dataId, 'd', { chunk_index: 0, timestamps: [1_000], values: [1] });
    const four = await small.get(`/exports/${dataId}`);
    expect([four.status, four.text]).toEqual([422, expect.stringContaining('at most 3 channels')]);
  });
});
