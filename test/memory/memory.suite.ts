/** What large answers cost the server in memory, beside what small ones have cost it before. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildServer } from '../support/built-server.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { fillChannel, openStream } from '../timeseries/support/storing.ts';
import { measureReads } from './support/measured-read.ts';

let server: TestServer;
let built: Awaited<ReturnType<typeof buildServer>>;
beforeAll(async () => {
  [server, built] = await Promise.all([startTestServer(), buildServer()]);
});
afterAll(async () => {
  await server?.close();
  await built?.remove();
});

/** Reads small answers until the young generation of V8 was used whole, then a large one, and that once more. */
async function measure(pathOf: (dataId: string) => string, ids: { small: string; large: string }) {
  const paths = [...Array(8).fill(pathOf(ids.small)), ...Array(2).fill(pathOf(ids.large))];
  const [first, again] = (await measureReads(server, built.folder, paths)).slice(-2) as [Measured, Measured];
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

// Where text is written the bounds are below what whole answers take, so that one which is held shows; Parquet holds row groups.
test('a read of 1.5 million points costs at most 50 MB, and the next one next to nothing', async () => {
  const ids = await openStreams({ small: 150, large: 1_500 }, ['v']);
  const { first, again } = await measure((id) => `/tool-state/${id}/timeseries/`, ids);
  expect(first.bytes).toBeGreaterThan(60_000_000);
  expect(first.grownBytes).toBeLessThan(50e6);
  expect(again.grownBytes).toBeLessThan(25e6);
});

test.each(['long', 'wide'])(
  'a workbook of 120,000 points, %s, costs at most 60 MB, and the next one no more',
  async (layout) => {
    const ids = await openStreams({ small: 8, large: 60 }, ['u', 'v']);
    const { first, again } = await measure((id) => `/exports/${id}?format=xlsx&layout=${layout}`, ids);
    expect(first.bytes).toBeGreaterThan(3_000_000);
    for (const { grownBytes } of [first, again]) expect(grownBytes).toBeLessThan(60e6);
  },
);

describe.each([
  {
    format: 'csv',
    points: 1_600_000,
    bytesMin: 80e6,
    mbMax: 70,
    queries: ['layout=long', 'layout=wide', 'layout=wide&every=10ms'],
  },
  { format: 'parquet', points: 1_500_000, bytesMin: 15e6, mbMax: 100, queries: ['layout=long', 'layout=wide'] },
])('an export of $points points as $format costs at most $mbMax MB', ({ format, points, bytesMin, mbMax, queries }) => {
  let ids: Awaited<ReturnType<typeof openStreams>>;
  beforeAll(async () => {
    ids = await openStreams({ small: 50, large: points / 2_000 }, ['u', 'v']);
  });

  test.each(queries)('%s, and the next one no more', async (query) => {
    const { first, again } = await measure((id) => `/exports/${id}?format=${format}&${query}`, ids);
    expect(first.bytes).toBeGreaterThan(bytesMin);
    for (const { grownBytes } of [first, again]) expect(grownBytes).toBeLessThan(mbMax * 1e6);
  });
});
