import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { channelRows, openStream } from './support/chunks.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ BODY_LIMIT_BYTES: 32 * 1024 * 1024 });
});
afterAll(() => server.close());

const channelCount = 5_000;
const timestamps = Array.from({ length: 100 }, (_, i) => i);

/** One request of many channels. @returns how long it took, ms */
async function storeWide(value: (i: number) => number | null): Promise<number> {
  const dataId = await openStream(server, { points_per_chunk: 100 });
  const readings = { timestamps, values: timestamps.map(value) };
  const channels = Object.fromEntries(Array.from({ length: channelCount }, (_, i) => [`c${i}`, readings]));
  const body = JSON.stringify({ data_id: dataId, chunk_index: 0, channels });
  const startedAt = performance.now();
  const answer = await server.post('/tool-state/stream/chunk/multi', body);
  const ms = performance.now() - startedAt;
  expect(answer.status).toBe(201);
  const rows = await channelRows(server, dataId);
  expect(rows.length).toBe(channelCount);
  expect(new Set(rows.map((row) => row.null_count))).toEqual(
    new Set([timestamps.map(value).filter((v) => v === null).length]),
  );
  return ms;
}

// A slice of an array with NULL elements is found by walking there from the start, which is quadratic in one long array.
test('absent readings in thousands of channels cost about what readings cost', async () => {
  const plain = await storeWide((i) => i / 7);
  const absent = await storeWide((i) => (i === 5 ? null : i / 7));
  expect(absent).toBeLessThan(2 * plain + 500);
}, 60_000);

test('a wide request is not slowed down by plans that were made while the tables held one row', async () => {
  const { database, owner, ...narrow } = await startTestServer();
  try {
    const first = await openStream({ database, owner, ...narrow });
    const send = async (dataId: string, chunkIndex: number, count: number, value: number) => {
      const readings = { timestamps: [chunkIndex], values: [value] };
      const channels = Object.fromEntries(Array.from({ length: count }, (_, i) => [`c${i}`, readings]));
      const startedAt = performance.now();
      const body = { data_id: dataId, chunk_index: chunkIndex, channels };
      expect((await narrow.post('/tool-state/stream/chunk/multi', body)).status).toBe(201);
      return performance.now() - startedAt;
    };
    await send(first, 0, 1, 1);
    await owner.pool.query('analyze');
    for (const value of [2, 3]) await send(first, 0, 1, value);
    const wide = await openStream({ database, owner, ...narrow });
    const times = [await send(wide, 0, 3_000, 1), await send(wide, 1, 3_000, 1), await send(wide, 1, 3_000, 2)];
    // Plans are made anew once more is known of the tables.
    await owner.pool.query('analyze');
    const known = [await send(wide, 2, 3_000, 1), await send(wide, 3, 3_000, 1), await send(wide, 3, 3_000, 2)];
    expect(Math.max(...times)).toBeLessThan(4 * Math.max(...known) + 500);
  } finally {
    await narrow.close();
  }
}, 60_000);
