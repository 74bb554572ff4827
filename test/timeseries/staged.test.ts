import { afterAll, beforeAll, expect, test } from 'vitest';
import { chunkBody, openStream } from '../streams/support/chunks.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const read = async (dataId: string) =>
  (await server.get(`/data_entries/raw_data/staged/timeseries/${dataId.toUpperCase()}`)).json;

test('answers one object a channel, with its own name, ascending ms and null for what is absent', async () => {
  const instrument = await server.post('/instruments/synthesis', { label: 'Main MBE', type: 'mbe' });
  const dataId = await openStream(server, { synth_source_id: instrument.json.synth_source_id });
  const push = (
    index: number,
    name: string,
    values: (number | null)[],
    timestamps: (number | null)[],
    units?: string,
  ) =>
    server.post(
      '/tool-state/stream/chunk',
      chunkBody(dataId, index, name, values, { timestamps, ...(units && { units }) }),
    );
  await push(0, 'UNIX Timestamp', [1, 2.5], [0.0004, 10]);
  await push(1, 'T', [20, null, 7], [2, 1.5, null], 'C');
  await push(0, 'T', [10, 11], [1, 1.0001]);
  const common = { data_id: dataId, system: 'Main MBE', version: null, component: null };
  const rest = { timeseries_id: expect.stringMatching(/^\d+$/), last_updated: expect.stringMatching(/^20.*Z$/) };
  const answer = await read(dataId);
  expect(answer).toEqual([
    { ...common, ...rest, name: 'T', unit: 'C', unix_times: [1000, 1500, 2000], values: [11, null, 20] },
    { ...common, ...rest, name: 'UNIX Timestamp', unit: null, unix_times: [0, 10_000], values: [1, 2.5] },
  ]);
  expect(answer[0].timeseries_id).not.toBe(answer[1].timeseries_id);
});

test('answers an empty list for a stream without points', async () => {
  const dataId = await openStream(server, { instrument_type: 'ald' });
  expect(await read(dataId)).toEqual([]);
  await server.post('/tool-state/stream/chunk', chunkBody(dataId, 0, 't', [1]));
  expect(await read(dataId)).toMatchObject([{ system: 'ald' }]);
});
