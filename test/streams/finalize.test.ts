import { afterAll, beforeAll, expect, test } from 'vitest';
import { earlier } from '../support/earlier.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { chunkBody, openStream, prefixes, storedChunks } from './support/chunks.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ FINALIZE_GRACE_SECONDS: 60 });
});
afterAll(() => server.close());

const chunkUrl = '/tool-state/stream/chunk';

/** Moves the finalize of a stream into the past, as if that much time had gone by. */
const age = (dataId: string, seconds: number) =>
  server.owner.pool.query(`update streams set finalized_at = ${earlier('finalized_at')} where data_id = $1::uuid`, [
    dataId,
    `${seconds} seconds`,
  ]);

test.each(prefixes)('answers the ids of initialize, again and again, under %s', async (prefix) => {
  const opened = await server.post(`${prefix}/initialize`, { points_per_chunk: 1 });
  for (let i = 0; i < 3; i++) {
    const { status, json } = await server.post(`${prefix}/${opened.json.data_id}/finalize`);
    expect([status, json]).toEqual([200, opened.json]);
  }
});

test('takes no body, an empty JSON body, an empty object', async () => {
  const dataId = await openStream(server);
  for (const payload of [undefined, '', '{}']) {
    const response = await server.app.inject({
      method: 'POST',
      url: `/tool-state/stream/${dataId}/finalize`,
      headers: { 'x-api-key': server.keys.ada, 'content-type': 'application/json' },
      ...(payload !== undefined && { payload }),
    });
    expect(response.statusCode).toBe(200);
  }
});

test('the first finalize counts: a second one does not open the grace anew', async () => {
  const dataId = await openStream(server);
  await server.post(`/tool-state/stream/${dataId}/finalize`);
  await age(dataId, 61);
  await server.post(`/tool-state/stream/${dataId}/finalize`);
  expect((await server.post(chunkUrl, chunkBody(dataId, 0, 't', [1]))).status).toBe(409);
});

test('late chunks are taken within the grace', async () => {
  const dataId = await openStream(server);
  await server.post(`/tool-state/stream/${dataId}/finalize`);
  await age(dataId, 55);
  const { status, json } = await server.post(chunkUrl, chunkBody(dataId, 0, 't', [1, 2]));
  expect([status, json.total_points]).toEqual([201, 2]);
});

test('after the grace an identical chunk is 201, anything else 409 that says why and stores nothing', async () => {
  const dataId = await openStream(server);
  await server.post(chunkUrl, chunkBody(dataId, 0, 't', [1, 2]));
  await server.post(`/tool-state/stream/${dataId}/finalize`);
  await age(dataId, 61);
  const before = await storedChunks(server, dataId);
  const replay = await server.post(chunkUrl, chunkBody(dataId, 0, 't', [1, 2]));
  expect([replay.status, replay.json.total_points]).toEqual([201, 2]);
  for (const body of [
    chunkBody(dataId, 0, 't', [1, 3]),
    chunkBody(dataId, 1, 't', [1]),
    chunkBody(dataId, 0, 'new channel', [1]),
  ]) {
    const { status, json } = await server.post(chunkUrl, body);
    expect(status).toBe(409);
    expect(json.detail).toContain(`"${body.channel_name}"`);
    expect(json.detail).toContain('FINALIZE_GRACE_SECONDS');
  }
  const mixed = await server.post('/tool-state/stream/chunk/multi', {
    data_id: dataId,
    chunk_index: 0,
    channels: { t: { timestamps: [1700000000, 1700000001], values: [1, 2] }, u: { timestamps: [1], values: [1] } },
  });
  expect(mixed.status).toBe(409);
  expect(await storedChunks(server, dataId)).toEqual(before);
});

test('a stream without a chunk can be finalized', async () => {
  const dataId = await openStream(server);
  expect((await server.post(`/metrology/stream/${dataId}/finalize`)).status).toBe(200);
});
