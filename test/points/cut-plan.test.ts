import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { openStream, storeChunk } from '../timeseries/support/storing.ts';

/** Chunks of two points, 10 ms apart: a window has neighbours that the slack of its statement lets in. */
const chunks = 30;
const firstTime = 1_700_000_000;

let server: TestServer;
let dataId: string;
beforeAll(async () => {
  server = await startTestServer(
    {},
    { points: { looseChunksMax: 10, overviewChunksMin: 1_000, plannedChunksMax: 27 } },
  );
  dataId = await openStream(server, 2);
  for (let chunk_index = 0; chunk_index < chunks; chunk_index++) {
    const time = firstTime + chunk_index * 0.01;
    const timestamps = [time, time + 0.005];
    await storeChunk(server, dataId, 'v', { chunk_index, timestamps, values: [chunk_index, chunk_index] });
  }
});
afterAll(() => server?.close());

const readFrom = (chunk: number, more = '') =>
  server.get(`/tool-state/${dataId}/timeseries/?start=${firstTime + chunk * 0.01}${more}`);

test.each([20, 21, 22, 25])('a down-sampled window from chunk %i on has all its points', async (from) => {
  const answer = await readFrom(from, '&max_points=1000');
  expect(answer.json.properties.v.values).toHaveLength(2 * (chunks - from));
});

test.each([1, 2, 3, 4, 5, 10])('a window from chunk %i on is whole, or is refused for its chunks', async (from) => {
  for (const more of ['', '&max_points=1000']) {
    const answer = await readFrom(from, more);
    if (chunks - from > 27) {
      expect(answer.status, more).toBe(422);
      expect(answer.text).toContain('plannedChunksMax');
    } else expect(answer.json.properties.v.values, more).toHaveLength(2 * (chunks - from));
  }
});
