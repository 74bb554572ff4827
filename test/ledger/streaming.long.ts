import { afterAll, beforeAll, expect, test } from 'vitest';
import { beginRead, busySessions, connectionsWhileWaiting, readOn } from '../support/slow-client.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { fillChannel, openStream } from './support/storing.ts';

const chunks = 80_000;
let server: TestServer;
let address: string;
let dataId: string;
beforeAll(async () => {
  server = await startTestServer();
  address = await server.app.listen({ host: '127.0.0.1', port: 0 });
  dataId = await openStream(server, 2);
  const channelId = await fillChannel(server, dataId, 'v', 2 * chunks, 'k % 2 = 1');
  // Every chunk is irregular in another way than the one before, so that each has its entry in the lists.
  await server.owner.pool.query(
    'update chunks set ascending = false, point_count = 1 + chunk_index % 4 where data_id = $1::uuid and chunk_index % 4 < 2',
    [dataId],
  );
  await server.owner.pool.query(
    `insert into chunk_revisions (organization_id, data_id, channel_id, chunk_index, revision, replaced_by_key_id, key_id, stored_at,
                                  content_hash, replacing_hash, point_count, null_count, ascending, timestamps, values)
     select (select organization_id from streams where data_id = $1::uuid), $1::uuid, $2::bigint, n, 1, 1, 1, now(), sha256(''), sha256(''), 1, 0, true, '{1}', '{1}'
     from generate_series(0, 29999) n`,
    [dataId, channelId],
  );
});
afterAll(() => server?.close());

test.each(['chunks?content_hashes=true', 'certificate', 'chunks/revisions'])(
  '%s: a client that does not read holds no connection and no transaction, and still gets everything',
  async (path) => {
    const answer = await beginRead(address, `/metrology/stream/${dataId}/${path}`, server.keys.ada);
    expect(await connectionsWhileWaiting(server)).toBe(0);
    await expect.poll(() => busySessions(server)).toBe(0);
    const { body, ended } = await readOn(answer);
    expect(ended).toBe(true);
    expect(body.length).toBeGreaterThan(6_000_000);
    expect(JSON.parse(body.toString())).toMatchObject({ data_id: dataId });
  },
);

test('chunks that are removed meanwhile cut the answer off', async () => {
  await fillChannel(server, dataId, 'w', 1);
  const path = `/metrology/stream/${dataId}/chunks?content_hashes=true`;
  const answer = await beginRead(address, path, server.keys.ada);
  await connectionsWhileWaiting(server);
  await server.owner.pool.query('delete from chunks where data_id = $1::uuid', [dataId]);
  const { body, ended } = await readOn(answer);
  expect(ended).toBe(false);
  expect(body.length).toBeGreaterThan(1_000_000);
});
