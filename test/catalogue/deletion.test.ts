import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ConnectionSource } from '../../src/database/access.ts';
import type { OrganizationDatabase } from '../../src/database/organizations.ts';
import { giveUpStreams, removeStream } from '../../src/streams/deletion-store.ts';
import { streamLimits } from '../../src/streams/limits.ts';
import { chunkBody, openStream } from '../streams/support/chunks.ts';
import { rowsOf } from '../support/rows-of.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const chunkUrl = '/tool-state/stream/chunk';
const remove = (dataIds: string[], permanent = false, key?: string) =>
  server.send(
    'DELETE',
    `/data_entries/?${dataIds.map((id) => `data_ids=${id}`).join('&')}${permanent ? '&permanent=True' : ''}`,
    undefined,
    key,
  );
const restore = (dataIds: string[], key?: string) => server.post('/data_entries/restore', { data_ids: dataIds }, key);
const inDatabase = (text: string, values: unknown[]) => server.owner.pool.query(text, values);
const found = async (dataId: string) => (await server.get(`/data_entries/?data_ids=${dataId}`)).json.length === 1;

/** A stream with a chunk that was replaced once, a tag and a sample. */
async function openFullStream(): Promise<{ dataId: string; sample: string }> {
  const sample = (await server.post('/physical_samples/', { name: randomUUID() })).json.id;
  const tag = (await server.post('/tags/', { name: 'growth' })).json.id;
  const dataId = await openStream(server, { physical_sample_id: sample });
  for (const values of [[1], [1, 2, 3]]) await server.post(chunkUrl, chunkBody(dataId, 0, 't', values));
  await server.post('/tags/data-items/', { data_ids: [dataId], tag_ids: [tag] });
  return { dataId, sample };
}

describe('a deleted entry', () => {
  test('is gone from search, reads, samples and ingest, and keeps its rows', async () => {
    const { dataId, sample } = await openFullStream();
    const before = await rowsOf(server.owner, dataId);
    expect(before).toMatchObject({ streams: 1, channels: 1, chunks: 1, chunk_revisions: 1, stream_tags: 1 });
    const answer = await remove([dataId.toUpperCase(), randomUUID()]);
    expect([answer.status, answer.json]).toEqual([200, [dataId]]);
    expect(await found(dataId)).toBe(false);
    const statuses = await Promise.all([
      ...[`/tool-state/${dataId}/timeseries/`, `/tool-state/${dataId}/points/?channel=t`].map((url) => server.get(url)),
      server.post(chunkUrl, chunkBody(dataId, 0, 't', [1, 2, 3])),
      server.post(chunkUrl, chunkBody(dataId, 1, 'new', [1])),
      server.post(`/tool-state/stream/${dataId}/finalize`),
      remove([dataId]),
    ]);
    expect(statuses.map(({ status }) => status)).toEqual(Array(6).fill(404));
    const [row] = (await server.get(`/physical_samples/?physical_sample_id=${sample}`)).json;
    expect(row.num_data_items).toBe(0);
    expect(await rowsOf(server.owner, dataId)).toEqual(before);
  });

  test('comes back whole when it is restored, and takes chunks again', async () => {
    const { dataId } = await openFullStream();
    const read = async () => (await server.get(`/tool-state/${dataId}/timeseries/`)).json;
    const before = await read();
    await remove([dataId]);
    const answer = await restore([dataId, randomUUID()]);
    expect([answer.status, answer.json]).toEqual([200, [dataId]]);
    expect(await found(dataId)).toBe(true);
    expect(await read()).toEqual(before);
    expect((await server.post(chunkUrl, chunkBody(dataId, 1, 't', [9]))).json.total_points).toBe(4);
    expect((await restore([dataId])).json).toEqual([dataId]);
    expect((await restore([randomUUID()])).status).toBe(404);
  });

  test('is neither deleted nor restored by another organization', async () => {
    const { dataId } = await openFullStream();
    expect((await remove([dataId], true, server.keys.rival)).status).toBe(404);
    expect(await found(dataId)).toBe(true);
    await remove([dataId]);
    expect((await restore([dataId], server.keys.rival)).status).toBe(404);
    expect(await found(dataId)).toBe(false);
  });
});

describe('a removed entry', () => {
  test.each([false, true])('leaves no row in any table (deleted before: %s), and others stay', async (isDeleted) => {
    const [{ dataId }, other] = [await openFullStream(), await openFullStream()];
    const ofOther = await rowsOf(server.owner, other.dataId);
    if (isDeleted) await remove([dataId]);
    const answer = await remove([dataId], true);
    expect([answer.status, answer.json]).toEqual([200, [dataId]]);
    expect(await rowsOf(server.owner, dataId)).toEqual({});
    expect(await rowsOf(server.owner, other.dataId)).toEqual(ofOther);
    expect((await remove([dataId], true)).status).toBe(404);
    expect((await restore([dataId])).status).toBe(404);
  });

  test('cannot be restored once its removal has begun; asking again finishes it', async () => {
    const { dataId } = await openFullStream();
    await inDatabase('update streams set deleted_at = now(), removed_at = now() where data_id = $1::uuid', [dataId]);
    await inDatabase('delete from channels where data_id = $1::uuid', [dataId]);
    expect((await restore([dataId])).status).toBe(404);
    expect((await remove([dataId])).status).toBe(404);
    expect((await remove([dataId], true)).json).toEqual([dataId]);
    expect(await rowsOf(server.owner, dataId)).toEqual({});
  });

  test('loses its chunks also where another removal has just taken the stream, but never those of another organization', async () => {
    const [{ dataId }, { dataId: kept }] = [await openFullStream(), await openFullStream()];
    const { rows } = await inDatabase('select organization_id as id from streams where data_id = $1', [kept]);
    await inDatabase('delete from streams where data_id = $1::uuid', [dataId]);
    expect(await rowsOf(server.owner, dataId)).toEqual({ chunks: 1, chunk_revisions: 1 });
    await removeStream(server.database.as(rows[0].id), dataId, streamLimits);
    expect(await rowsOf(server.owner, dataId)).toEqual({});
    const before = await rowsOf(server.owner, kept);
    await inDatabase('update streams set deleted_at = now(), removed_at = now() where data_id = $1', [kept]);
    await removeStream(server.database.as(randomUUID()), kept, streamLimits);
    expect(await rowsOf(server.owner, kept)).toEqual(before);
  });

  test('of many chunks goes in statements of bounded rows and points', async () => {
    const dataId = await openStream(server);
    await server.post(chunkUrl, chunkBody(dataId, 0, 't', [1]));
    const columns =
      'organization_id, data_id, channel_id, start_offset, key_id, null_count, ascending, content_hash, timestamps, values';
    const fill = `insert into chunks (${columns}, chunk_index, point_count)
       select ${columns}, i, case when i between 9001 and 9003 then $2::integer else 1 end
       from chunks, generate_series(1, 11000) as i where data_id = $1::uuid`;
    await inDatabase(fill, [dataId, 600_000]);
    const organizationId = (await inDatabase('select organization_id from streams where data_id = $1', [dataId]))
      .rows[0].organization_id;
    const lab = server.database.as(organizationId);
    expect(await giveUpStreams(lab, [dataId])).toEqual([dataId]);
    const { organization, deleted } = countingDeletes(lab);
    await removeStream(organization, dataId, { removedRowsMax: 5_000, removedPointsMax: 1_000_000 });
    expect(await rowsOf(server.owner, dataId)).toEqual({});
    // Chunks 0 to 4999; 5000 to 9001, as the next long chunk would be too much; the other two long ones; the rest.
    expect(deleted).toEqual([5_000, 4_002, 1, 1998]);
  });
});

/** The same organization, but it is noted how many chunks each of its statements deletes. */
function countingDeletes(organization: OrganizationDatabase) {
  const { pool } = organization;
  const deleted: number[] = [];
  const query: ConnectionSource['query'] = async (text, values) => {
    const result = await pool.query(text, values);
    if (/^\s*delete from chunks/.test(String(text))) deleted.push(result.rowCount as number);
    return result as never;
  };
  return { organization: { ...organization, pool: { connect: () => pool.connect(), query } }, deleted };
}

test.each([
  ['', 'data_ids'],
  ['data_ids=x', 'data_ids'],
  [`data_ids=${randomUUID()}&permanent=perhaps`, 'permanent'],
])('DELETE refuses ?%s', async (query, field) => {
  const answer = await server.send('DELETE', `/data_entries/?${query}`);
  expect([answer.status, answer.json.detail[0].loc.slice(0, 2)]).toEqual([422, ['query', field]]);
});
