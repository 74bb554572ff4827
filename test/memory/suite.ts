/** What large answers cost the server in memory, beside what small ones have cost it before. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { fillChannel, openStream } from '../timeseries/storing.ts';
import { measureReads } from './measured-read.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

/** Reads small answers until the young generation of V8 was used whole, then a large one, and that once more. */
async function measure(pathOf: (dataId: string) => string, ids: { small: string; large: string }) {
  const paths = [...Array(8).fill(pathOf(ids.small)), ...Array(2).fill(pathOf(ids.large))];
  const [first, again] = (await measureReads(server, paths)).slice(-2) as [Measured, Measured];
  const shown = [first, again].map(({ grownBytes }) => `${(grownBytes / 1e6).toFixed(0)} MB`);
  console.info(`${(first.bytes / 1e6).toFixed(0)} MB read: ${shown.join(', again ')} of memory`);
  return { first, again };
}
type Measured = Awaited<ReturnType<typeof measureReads>>[number];

async function openStreams(chunks: { small: number; large: number }, channels: string[]) {
  const ids = { small: '', large: '' };
  for (const size of ['small', 'large'] as const) {
    ids[size] = await openStream(server, 1_000);
    for (const [i, name] of channels.entries()) {
      await fillChannel(server, ids[size], name, { chunks: chunks[size], points: 1_000, stepSeconds: (i + 1) / 100 });
    }
  }
  return ids;
}

test('a read of 5 million points costs at most 100 MB, and the next one next to nothing', async () => {
  const ids = await openStreams({ small: 300, large: 5_000 }, ['v']);
  const { first, again } = await measure((id) => `/tool-state/${id}/timeseries/`, ids);
  expect(first.bytes).toBeGreaterThan(200_000_000);
  expect(first.grownBytes).toBeLessThan(100e6);
  expect(again.grownBytes).toBeLessThan(50e6);
});

test.each(['long', 'wide'])(
  'a workbook of 200,000 points, %s, costs at most 100 MB, and the next one no more',
  async (layout) => {
    const ids = await openStreams({ small: 20, large: 100 }, ['u', 'v']);
    const { first, again } = await measure((id) => `/exports/${id}?format=xlsx&layout=${layout}`, ids);
    expect(first.bytes).toBeGreaterThan(5_000_000);
    for (const { grownBytes } of [first, again]) expect(grownBytes).toBeLessThan(100e6);
  },
);

describe('an export of 3 million points', () => {
  let ids: Awaited<ReturnType<typeof openStreams>>;
  beforeAll(async () => {
    ids = await openStreams({ small: 150, large: 1_500 }, ['u', 'v']);
  });

  test.each([
    'csv&layout=long',
    'csv&layout=wide',
    'parquet&layout=long',
    'parquet&layout=wide',
    'csv&layout=wide&every=5ms',
  ])('as %s costs at most 100 MB, and the next one no more', async (query) => {
    const { first, again } = await measure((id) => `/exports/${id}?format=${query}`, ids);
    expect(first.bytes).toBeGreaterThan(20_000_000);
    for (const { grownBytes } of [first, again]) expect(grownBytes).toBeLessThan(100e6);
  });
});
