import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { onCluster } from '../support/on-cluster.ts';
import { rowsOf } from '../support/rows-of.ts';
import { joinTestServer, startTestServer, type TestServer } from '../support/test-server.ts';
import { channelRows, chunkBody, openStream, recountedChannels } from './support/chunks.ts';

/* Streams that are removed while chunks of them arrive: every chunk is stored and removed, or answered 404. */

let server: TestServer;
/** A second server on the same database. */
let sibling: TestServer;
beforeAll(async () => {
  // A flush that waits for a lock keeps waiting, so that it goes on with what it has found before.
  const patient = { streams: { lockMsMax: 15_000 } };
  server = await startTestServer({}, patient);
  sibling = await joinTestServer(server, {}, undefined, patient);
});
afterAll(async () => {
  await sibling.close();
  await server.close();
});

const chunkUrl = '/tool-state/stream/chunk';

// A statement of a cluster waits for a lock on the node of its stream, where this test does not see it.
describe.skipIf(onCluster)('a flush that has found its stream before the stream went', () => {
  test.each([
    ['a new chunk', chunkFields(1, 't', [5])],
    ['other content for a chunk that stood', chunkFields(0, 't', [7, 8])],
    ['a new channel', chunkFields(0, 'another', [1])],
  ])('answers 404 for %s, stores nothing of it, and stores what comes with it for other streams', async (_what, of) => {
    const [dataId, other] = [await openStream(server), await openStream(server)];
    await server.post(chunkUrl, chunkBody(dataId, 0, 't', [1]));
    const client = await server.owner.pool.connect();
    await client.query('begin');
    await client.query('delete from chunks where data_id = $1::uuid', [dataId]);
    await client.query('delete from streams where data_id = $1::uuid', [dataId]);
    const answers = Promise.all([
      server.post(chunkUrl, of(dataId)),
      server.post(chunkUrl, chunkBody(other, 0, 't', [1])),
      sibling.post(chunkUrl, of(dataId)),
    ]);
    await waitingForLocks(2);
    await client.query('commit');
    client.release();
    const [one, kept, two] = await answers;
    expect([one, kept, two].map(({ status }) => status)).toEqual([404, 201, 404]);
    expect(one.json).toEqual({ detail: 'Stream not found' });
    expect(await rowsOf(server.owner, dataId)).toEqual({});
  });

  function chunkFields(index: number, channel: string, values: number[]) {
    return (dataId: string) => chunkBody(dataId, index, channel, values);
  }

  /** Until so many statements of this database wait for a lock. */
  async function waitingForLocks(count: number): Promise<void> {
    for (let attempt = 0; attempt < 500; attempt++) {
      const { rows } = await server.owner.pool.query(
        `select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      );
      if (rows[0].count >= count) return;
    }
    throw new Error('nobody waits');
  }
});

test('chunks from two servers while their stream is removed: no row is left, none of another stream is lost', async () => {
  const other = await openStream(server);
  const statuses = new Map<number, number>();
  for (let round = 0; round < 8; round++) {
    const dataId = await openStream(server);
    const bodies = Array.from({ length: 96 }, (_, i) => [
      // Some channels are new, some addresses come twice with other content.
      chunkBody(dataId, i % 40, `c${i % 7}`, [i, null]),
      chunkBody(other, round * 96 + i, 't', [i]),
    ]).flat();
    await server.post(chunkUrl, bodies[0]);
    const chunks = bodies.map(async (body, i) => {
      await turns((i * 3) % 50);
      const { status } = await (i % 4 < 2 ? server : sibling).post(chunkUrl, body);
      if (body.data_id === other) expect(status).toBe(201);
      else statuses.set(status, (statuses.get(status) ?? 0) + 1);
    });
    const removals = [0, 1].map(async (i) => {
      await turns(round * 4 + i);
      const one = i === 0 ? server : sibling;
      return one.send('DELETE', `/data_entries/?data_ids=${dataId}&permanent=true`);
    });
    const [removed] = await Promise.all([Promise.all(removals), ...chunks]);
    expect(removed.map(({ status }) => status)).toContain(200);
    expect(await rowsOf(server.owner, dataId)).toEqual({});
  }
  expect([...statuses.keys()].sort()).toEqual([201, 404]);
  expect(await channelRows(server, other)).toEqual(await recountedChannels(server, other));
  expect(await channelRows(server, other)).toMatchObject([{ chunk_count: 8 * 96 }]);
});

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise(setImmediate);
}
