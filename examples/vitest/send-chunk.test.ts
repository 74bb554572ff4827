import { startTestServer, type TestOrganization, type TestServer } from 'metrology-server/testing';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Chunk, sendChunk } from './send-chunk.ts';

let server: TestServer;
let lab: TestOrganization;
let chunk: Chunk;

beforeAll(async () => {
  server = await startTestServer();
}, 60_000);
afterAll(() => server?.stop());

// An organization of its own for each test: what others do, and their faults, it never sees.
beforeEach(async () => {
  lab = await server.newOrganization();
  const { data_id } = await ask('POST', '/metrology/stream/initialize', { points_per_chunk: 2 });
  chunk = {
    data_id,
    chunk_index: 0,
    channel_name: 'thickness',
    timestamps: [1_700_000_000, 1_700_000_001],
    values: [0.1, null],
  };
});

async function ask(method: string, path: string, body?: object) {
  const headers = { 'x-api-key': lab.apiKey, ...(body && { 'content-type': 'application/json' }) };
  const answer = await fetch(lab.url + path, { method, headers, ...(body && { body: JSON.stringify(body) }) });
  return answer.json();
}
const stored = () => ask('GET', `/metrology/${chunk.data_id}/points/?channel=thickness`);

test('a chunk is stored', async () => {
  expect(await sendChunk(lab, chunk)).toBe(1);
  expect(await stored()).toMatchObject({ point_count: 2, chunks: [{ chunk_index: 0, values: [0.1, null] }] });
});

test('an answer that is lost after the commit stores nothing twice', async () => {
  await lab.faults.add({ match: { chunk_index: 0 }, times: 1, when: 'after_commit', action: { reset: true } });
  expect(await sendChunk(lab, chunk)).toBe(2);
  expect(await stored()).toMatchObject({ point_count: 2, chunks: [{ chunk_index: 0 }] });
});

test('a server that is busy twice is asked a third time', async () => {
  await lab.faults.add({
    match: { path: '/**/chunk' },
    times: 2,
    action: { status: 503, headers: { 'retry-after': '1' } },
  });
  expect(await sendChunk(lab, chunk)).toBe(3);
  const requests = await lab.requests.list({ path: '/**/chunk' });
  expect(requests.map(({ status }) => status)).toEqual([503, 503, 201]);
});

test('what the server refuses is not sent again', async () => {
  await expect(sendChunk(lab, { ...chunk, values: [1] })).rejects.toThrow('422');
  expect(await lab.requests.waitFor(1, { path: '/**/chunk' })).toHaveLength(1);
});

test('once the grace of a finalized stream is over, a new chunk is refused', async () => {
  await sendChunk(lab, chunk);
  await ask('POST', `/metrology/stream/${chunk.data_id}/finalize`);
  await server.clock.advance(121);
  await expect(sendChunk(lab, { ...chunk, chunk_index: 1 })).rejects.toThrow('409');
  await server.clock.restore();
});
