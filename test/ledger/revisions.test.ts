import { afterAll, beforeAll, expect, test } from 'vitest';
import { apiKeyHint } from '../../src/auth/api-key.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { contentHash, fillChannel, openStream, readingsFrom, storeChunk } from './support/storing.ts';

const pageRevisionsMax = 10;
let server: TestServer;
let dataId: string;
const url = (query = '') => `/metrology/stream/${dataId}/chunks/revisions${query}`;
const hex = (readings: Parameters<typeof contentHash>[0]) => contentHash(readings).toString('hex');

const exact = { timestamps: [0.1, null, 1e300], values: [-0, 5e-324, null], units: 'nm' };
const wrong = { timestamps: [1], values: [25] };
const right = readingsFrom(0, 3);

beforeAll(async () => {
  server = await startTestServer({}, { ledger: { pageRevisionsMax } });
  dataId = await openStream(server, 3);
  await storeChunk(server, dataId, 'v', 4, exact);
  await storeChunk(server, dataId, 'v', 4, wrong, server.keys.grace);
  await storeChunk(server, dataId, 'v', 4, wrong);
  await storeChunk(server, dataId, 'v', 4, right);
  await storeChunk(server, dataId, 'v', 5, right);
  await storeChunk(server, dataId, 'v', 5, wrong);
  await storeChunk(server, dataId, 'w', 4, right);
  await storeChunk(server, dataId, 'w', 4, wrong);
});
afterAll(() => server?.close());

test('every content that was replaced is listed: by whom, when, and both hashes', async () => {
  const { json } = await server.get(url());
  expect(json.data_id).toBe(dataId);
  expect(json.revisions).toHaveLength(4);
  const [first, second, ...others] = json.revisions;
  expect(first).toMatchObject({ channel_name: 'v', chunk_index: 4, revision: 1, point_count: 3, null_count: 1 });
  expect(first).toMatchObject({ units: 'nm', content_hash: hex(exact), replacing_hash: hex(wrong) });
  expect(first.stored_by).toEqual({ key_hint: apiKeyHint(server.keys.ada), user_name: 'ada' });
  expect(first.replaced_by).toEqual({ key_hint: apiKeyHint(server.keys.grace), user_name: 'grace' });
  expect(second).toMatchObject({ revision: 2, content_hash: hex(wrong), replacing_hash: hex(right), units: null });
  expect([second.stored_by.user_name, second.replaced_by.user_name]).toEqual(['grace', 'ada']);
  expect(first.stored_at < first.replaced_at && first.replaced_at < second.replaced_at).toBe(true);
  expect(others.map(({ channel_name, chunk_index }: Record<string, unknown>) => [channel_name, chunk_index])).toEqual([
    ['v', 5],
    ['w', 4],
  ]);
});

test('the list can be of one chunk or of some channels', async () => {
  const listed = async (query: string) => {
    const { status, json } = await server.get(url(query));
    expect(status).toBe(200);
    return json.revisions.map((one: Record<string, unknown>) => [one.channel_name, one.chunk_index, one.revision]);
  };
  expect(await listed('?channel_name=v&chunk_index=4')).toEqual([
    ['v', 4, 1],
    ['v', 4, 2],
  ]);
  expect(await listed('?chunk_index=4&channel_name=w&channel_name=x')).toEqual([['w', 4, 1]]);
  expect(await listed('?channel_name=x')).toEqual([]);
  expect((await server.get(url('?chunk_index=-1'))).status).toBe(422);
});

test('a revision is read as it was sent, every float64 with its bits', async () => {
  const { status, text, json } = await server.get(url('/1?channel_name=v&chunk_index=4'));
  expect(status).toBe(200);
  expect(json).toMatchObject({ data_id: dataId, channel_name: 'v', chunk_index: 4, revision: 1, ...exact });
  expect(Object.is(json.values[0], -0)).toBe(true);
  expect(text).toContain('"timestamps":[0.1,null,1e+300],"values":[-0.0,5e-324,null]');
  expect(hex({ timestamps: json.timestamps, values: json.values, units: json.units })).toBe(json.content_hash);
  const { json: listed } = await server.get(url('?channel_name=v&chunk_index=4'));
  expect(json).toMatchObject(listed.revisions[0]);
});

test('what is not there is not found', async () => {
  for (const place of [
    '/3?channel_name=v&chunk_index=4',
    '/1?channel_name=v&chunk_index=6',
    '/1?channel_name=x&chunk_index=4',
  ]) {
    const { status, json } = await server.get(url(place));
    expect([status, json], place).toEqual([404, { detail: 'revision not found' }]);
  }
  expect((await server.get(url('/9999999999?channel_name=v&chunk_index=4'))).status).toBe(404);
  for (const place of ['/0?channel_name=v&chunk_index=4', '/1?channel_name=v', '/1?chunk_index=4']) {
    expect((await server.get(url(place))).status, place).toBe(422);
  }
  for (const place of ['', '/1?channel_name=v&chunk_index=4']) {
    const foreign = await server.get(url(place), server.keys.rival);
    expect([foreign.status, foreign.json]).toEqual([404, { detail: 'data_id not found' }]);
  }
});

test('a list of many pages is whole', async () => {
  const own = await openStream(server, 1);
  const count = 2 * pageRevisionsMax + 1;
  const channelId = await fillChannel(server, own, 'v', 3);
  await server.owner.pool.query(
    `insert into chunk_revisions (organization_id, data_id, channel_id, chunk_index, revision, replaced_by_key_id, key_id, stored_at,
                                  content_hash, replacing_hash, point_count, null_count, ascending, timestamps, values)
     select (select organization_id from streams where data_id = $1::uuid), $1::uuid, $2::bigint, n % 3, n / 3 + 1, 1, 1, now(), sha256(''), sha256(''), 1, 0, true, '{1}', '{1}'
     from generate_series(0, $3::integer - 1) n`,
    [own, channelId, count],
  );
  const { json } = await server.get(`/metrology/stream/${own}/chunks/revisions`);
  const places = json.revisions.map((one: { chunk_index: number; revision: number }) => [
    one.chunk_index,
    one.revision,
  ]);
  expect(places).toHaveLength(count);
  expect(new Set(places.map(String)).size).toBe(count);
  expect(places).toEqual(
    places.toSorted(
      ([a, b]: number[], [c, d]: number[]) => (a as number) - (c as number) || (b as number) - (d as number),
    ),
  );
});
