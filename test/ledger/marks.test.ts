import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { openStream, readingsFrom, storeChunk } from './support/storing.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({}, { ledger: { pageChunksMax: 2 } });
});
afterAll(() => server?.close());

const start = 1_700_000_000;
const readings = (chunk: number, offset = 0) => readingsFrom(start + chunk * 3 + offset, 3);
const marksOf = async (dataId: string, query = '?marks=true') =>
  (await server.get(`/metrology/stream/${dataId}/chunks${query}`)).json.channels[0];

test('the ledger tells on request which chunks were replaced and which came late, with their times', async () => {
  const dataId = await openStream(server, 3);
  for (const chunk of [0, 1, 2, 3, 4, 7]) await storeChunk(server, dataId, 'rate', chunk, readings(chunk));
  expect(await marksOf(dataId)).toMatchObject({ replaced: [], late: [] });
  for (const chunk of [1, 2, 4]) await storeChunk(server, dataId, 'rate', chunk, readings(chunk, 0.5));
  // The same again replaces nothing.
  await storeChunk(server, dataId, 'rate', 0, readings(0));
  const replaced = [
    { from_chunk: 1, to_chunk: 2, time_min: start + 3.5, time_max: start + 8.5 },
    { from_chunk: 4, to_chunk: 4, time_min: start + 12.5, time_max: start + 14.5 },
  ];
  expect(await marksOf(dataId)).toMatchObject({ replaced, late: [] });

  await server.post(`/metrology/stream/${dataId}/finalize`, {});
  for (const chunk of [5, 6]) await storeChunk(server, dataId, 'rate', chunk, readings(chunk));
  const late = [{ from_chunk: 5, to_chunk: 6, time_min: start + 15, time_max: start + 20 }];
  expect(await marksOf(dataId)).toMatchObject({ replaced, late });
});

test('a marked chunk without a possible time has none, and takes none from its neighbour', async () => {
  const dataId = await openStream(server, 1);
  const chunk = (timestamp: number | null, value: number) => ({ timestamps: [timestamp], values: [value] });
  for (const [index, time] of [null, null, start, null].entries()) {
    await storeChunk(server, dataId, 'a', index, chunk(time, 0));
    if (index !== 1) await storeChunk(server, dataId, 'a', index, chunk(time, 1));
  }
  expect((await marksOf(dataId)).replaced).toEqual([
    { from_chunk: 0, to_chunk: 0, time_min: null, time_max: null },
    { from_chunk: 2, to_chunk: 3, time_min: start, time_max: start },
  ]);
});

test('without the request they are not there', async () => {
  const dataId = await openStream(server, 3);
  await storeChunk(server, dataId, 'rate', 0, readings(0));
  expect(await marksOf(dataId, '')).not.toHaveProperty('replaced');
  expect(await marksOf(dataId, '?marks=false')).not.toHaveProperty('late');
});
