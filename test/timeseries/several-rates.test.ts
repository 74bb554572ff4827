import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { openStream } from './support/storing.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const begin = 1_769_846_400;
/** So many seconds long is what one chunk of the stream holds. */
const chunkSeconds = 10;
const chunkCount = 60;

/** Readings of a channel during one chunk of the stream, `hertz` a second. */
function readingsOf(chunk: number, hertz: number) {
  const timestamps = Array.from({ length: chunkSeconds * hertz }, (_, i) => begin + chunk * chunkSeconds + i / hertz);
  return { timestamps, values: timestamps.map((_, i) => i) };
}

/** An instrument that sends what it has every ten seconds; without the chunks of `lost`. */
async function streamOf(
  channels: (chunk: number) => Record<string, { timestamps: number[]; values: number[] }>,
  lost: number[] = [],
): Promise<string> {
  const dataId = await openStream(server, 100);
  for (let chunk = 0; chunk < chunkCount; chunk++) {
    const sent = channels(chunk);
    if (lost.includes(chunk) || Object.keys(sent).length === 0) continue;
    const body = { data_id: dataId, chunk_index: chunk, channels: sent };
    const { status, text } = await server.post('/metrology/stream/chunk/multi', body);
    expect(status, text).toBe(201);
  }
  return dataId;
}

const ledgerOf = async (dataId: string) => {
  const { channels } = (await server.get(`/metrology/stream/${dataId}/chunks`)).json;
  // biome-ignore lint/suspicious/noExplicitAny: an answer.
  return Object.fromEntries(channels.map((one: any) => [one.channel_name, one]));
};
const certificateOf = async (dataId: string) => (await server.get(`/metrology/stream/${dataId}/certificate`)).json;
const downSampled = async (dataId: string) =>
  (await server.get(`/metrology/${dataId}/timeseries/?max_points=100000`)).json;

describe('channels of 10 Hz and 1 Hz in one stream', () => {
  test('have no short chunks but those that are short for themselves', async () => {
    const dataId = await streamOf((chunk) => ({
      fast: readingsOf(chunk, 10),
      slow: chunk === 30 ? { timestamps: [begin + 300], values: [1] } : readingsOf(chunk, 1),
    }));
    const { fast, slow } = await ledgerOf(dataId);
    expect([fast.irregular, fast.usual_point_counts]).toEqual([[], [100, 100]]);
    expect(slow.usual_point_counts).toEqual([10, 10]);
    const short = { point_count: 1, chunk_count: 1, irregularities: ['short'] };
    expect(slow.irregular).toEqual([{ chunk_index: 30, last_chunk_index: 30, ...short }]);
    expect(await certificateOf(dataId)).toMatchObject({ irregular_count: 1, missing_count: 0, skipped_count: 0 });
  });

  test('short ones that follow each other are one entry', async () => {
    const dataId = await streamOf((chunk) => ({ v: chunk < 5 ? readingsOf(chunk, 1) : readingsOf(chunk, 10) }));
    expect((await ledgerOf(dataId)).v.irregular).toEqual([
      { chunk_index: 0, last_chunk_index: 4, chunk_count: 5, point_count: 50, irregularities: ['short'] },
    ]);
    expect((await certificateOf(dataId)).irregular_count).toBe(5);
  });
});

describe('a channel that is sent once in ten chunks', () => {
  const channels = (chunk: number) => ({
    fast: readingsOf(chunk, 1),
    ...(chunk % 10 === 0 && { sparse: readingsOf(chunk, 10) }),
  });

  test('misses nothing, and has no nulls between its points', async () => {
    const dataId = await streamOf(channels);
    const { sparse } = await ledgerOf(dataId);
    expect(sparse).toMatchObject({ missing: [], missing_count: 0, skipped_count: 45, chunk_count: 6, irregular: [] });
    expect(sparse.present).toHaveLength(6);
    const { properties, gaps } = await downSampled(dataId);
    expect(gaps).toEqual({ fast: [], sparse: [] });
    expect(properties.sparse.values).toHaveLength(600);
    expect(properties.sparse.values).not.toContain(null);
    expect(await certificateOf(dataId)).toMatchObject({ missing_count: 0, skipped_count: 45 });
  });

  test('misses what is lost, and others theirs', async () => {
    const dataId = await streamOf(channels, [20, 33, 34]);
    const { fast, sparse } = await ledgerOf(dataId);
    expect(sparse).toMatchObject({ missing: [[11, 29]], missing_count: 19, skipped_count: 27 });
    expect(fast.missing).toEqual([
      [20, 20],
      [33, 34],
    ]);
    const { properties, gaps } = await downSampled(dataId);
    expect(gaps.sparse).toMatchObject([{ from_chunk: 11, to_chunk: 29 }]);
    expect(gaps.fast).toMatchObject([{ from_chunk: 20 }, { from_chunk: 33, to_chunk: 34 }]);
    expect(properties.sparse.values.filter((value: number | null) => value === null)).toHaveLength(1);
    // A window shows the gaps that the whole channel has.
    const window = `start=${begin + 200}&end=${begin + 250}&max_points=100`;
    const { gaps: inside } = (await server.get(`/metrology/${dataId}/timeseries/?${window}`)).json;
    expect(inside).toEqual({ fast: [gaps.fast[0]], sparse: gaps.sparse });
  });
});

test('a channel that logs changes misses nothing', async () => {
  const changes = [0, 3, 4, 11, 19, 20, 35, 37, 44, 59];
  const dataId = await streamOf((chunk) => (changes.includes(chunk) ? { shutter: readingsOf(chunk, 1) } : {}));
  const { shutter } = await ledgerOf(dataId);
  expect(shutter).toMatchObject({ missing: [], skipped_count: 60 - changes.length });
  expect((await downSampled(dataId)).gaps).toEqual({ shutter: [] });
});
