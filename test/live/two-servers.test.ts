import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { onCluster } from '../support/on-cluster.ts';
import { joinTestServer, startTestServer, type TestServer } from '../support/test-server.ts';
import { type Follower, follow, poll } from './support/follower.ts';

/* What one server stores, who follows at another one is told. */

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let storing: TestServer;
let telling: TestServer;
let port: number;
const followers: Follower[] = [];

beforeAll(async () => {
  storing = await startTestServer();
  telling = await joinTestServer(storing, {}, undefined, {
    live: { listSweepMs: 300, listedRunsMax: 2, listLookMs: 100 },
  });
  await telling.app.listen({ host: '127.0.0.1', port: 0 });
  port = (telling.app.server.address() as AddressInfo).port;
});
afterEach(() => {
  for (const one of followers.splice(0)) one.leave();
});
afterAll(async () => {
  await telling?.close();
  await storing?.close();
});

async function following(path: string, after?: string) {
  const follower = await follow(port, path, storing.keys.ada, after === undefined ? {} : { 'last-event-id': after });
  followers.push(follower);
  return follower;
}

async function open(): Promise<string> {
  return (await storing.post('/metrology/stream/initialize', { points_per_chunk: 2 })).json.data_id;
}

const store = (data_id: string, chunk_index: number, channel_name: string, values: unknown[] = [1, 2]) =>
  storing.post('/metrology/stream/chunk', {
    ...{ data_id, chunk_index, channel_name, values },
    timestamps: [chunk_index * 10, chunk_index * 10 + 1],
  });

const channelsOf = (events: Follower['events'], from = 0) =>
  events.slice(from).flatMap(({ data }) => data.channels ?? []);
const lastId = (follower: Follower) => follower.events.findLast(({ id }) => id !== undefined)?.id as string;

/**
 * Stores the next chunk of channel `slow` in a transaction of its own, as a server does that is slow: the channel is locked, the
 * chunk and the counters have the time of their statements. @returns what commits it
 */
async function storeSlowly(dataId: string): Promise<() => Promise<void>> {
  const client = await storing.owner.pool.connect();
  await client.query('begin');
  await client.query('set local role metrology_service');
  await client.query(`select from channels where data_id = $1::uuid and channel_name = 'slow' for no key update`, [
    dataId,
  ]);
  await client.query(
    `insert into chunks select (jsonb_populate_record(k, jsonb_build_object('chunk_index', 1, 'start_offset', 2,
       'time_min', 10, 'time_max', 11, 'changed_at', clock_timestamp(), 'stored_at', clock_timestamp()))).*
     from chunks k join channels c using (data_id, channel_id)
     where k.data_id = $1::uuid and c.channel_name = 'slow' and k.chunk_index = 0`,
    [dataId],
  );
  await client.query(
    `update channels set chunk_count = 2, point_count = 4, time_max = 11, changed_at = clock_timestamp()
     where data_id = $1::uuid and channel_name = 'slow'`,
    [dataId],
  );
  return async () => {
    await client.query('commit');
    client.release();
  };
}

describe('a run that is stored through another server', () => {
  test('is told with the span of each change, a replacement that leaves all counters equal too', async () => {
    const id = await open();
    for (let i = 0; i < 3; i++) await store(id, i, 'p');
    const follower = await following(`/metrology/${id}/live`);
    await follower.until(([event]) => event);
    await store(id, 3, 'p');
    const added = await follower.until((events) => channelsOf(events, 1)[0]);
    expect(added).toMatchObject({ chunk_count: 4, span: [30_000, 31_000], latest: { timestamp: 31, value: 2 } });
    const from = follower.events.length;
    await store(id, 1, 'p', [5, 6]);
    const replaced = await follower.until((events) => channelsOf(events, from)[0]);
    expect(replaced).toMatchObject({ chunk_count: 4, point_count: 8, span: [10_000, 11_000] });
    await storing.post(`/metrology/stream/${id}/finalize`);
    await follower.until((events) =>
      events.find(({ event, data }) => event === 'status' && data.status === 'finalized'),
    );
    await storing.send('DELETE', `/data_entries/?data_ids=${id}`);
    await follower.until((events) => events.find(({ data }) => data.status === 'deleted'));
    expect(await follower.ended()).toBe(true);
  });

  // On a cluster, the statements of the slow transaction, which are written for this test, are not accepted.
  test.skipIf(onCluster)('is told when a commit becomes visible late, after what was written later', async () => {
    const id = await open();
    await store(id, 0, 'slow');
    await store(id, 0, 'quick');
    const follower = await following(`/metrology/${id}/live`);
    await follower.until(([event]) => event);
    const commit = await storeSlowly(id);
    await store(id, 1, 'quick');
    const quick = await follower.until((events) => channelsOf(events, 1).find((one) => one.channel_name === 'quick'));
    expect(channelsOf(follower.events, 1).some((one) => one.channel_name === 'slow')).toBe(false);
    await commit();
    const slow = await follower.until((events) => channelsOf(events, 1).find((one) => one.channel_name === 'slow'));
    expect(slow.changed_at < quick.changed_at).toBe(true);
    expect(slow).toMatchObject({ chunk_count: 2, span: [10_000, 11_000] });
  });

  test.skipIf(onCluster)('is told to whoever comes back with a cursor that is later than the slow commit', async () => {
    const id = await open();
    await store(id, 0, 'slow');
    await store(id, 0, 'quick');
    const before = await following(`/metrology/${id}/live`);
    await before.until(([event]) => event);
    const commit = await storeSlowly(id);
    await store(id, 1, 'quick');
    await before.until((events) => channelsOf(events, 1)[0]);
    const cursor = lastId(before);
    before.leave();
    // Nothing of it is remembered any more.
    await poll(async () => (/^metrology_live_runs 0$/m.test((await telling.get('/metrics')).text) ? true : undefined));
    await commit();
    const after = await following(`/metrology/${id}/live`, cursor);
    const slow = await after.until((events) => channelsOf(events).find((one) => one.channel_name === 'slow'));
    expect(Number(cursor)).toBeGreaterThan(Date.parse(slow.changed_at) * 1_000);
    expect(slow).toMatchObject({ chunk_count: 2, span: [0, 11_000] });
  });

  test('shows whoever comes back the state, with spans only where something may have changed', async () => {
    const id = await open();
    await store(id, 0, 'old');
    await store(id, 0, 'new');
    await storing.owner.pool.query(
      `update channels set changed_at = now() - interval '1 hour' where data_id = $1::uuid and channel_name = 'old'`,
      [id],
    );
    const first = await following(`/metrology/${id}/live`);
    await first.until(([event]) => event);
    expect(channelsOf(first.events).map((one) => one.span)).toEqual([
      [0, 1_000],
      [0, 1_000],
    ]);
    for (const path of [`/metrology/${id}/live?max_seconds=0`, `/live?max_seconds=0&data_id=${id}`]) {
      const again = await following(path, lastId(first));
      expect(await again.ended()).toBe(true);
      expect(channelsOf(again.events)).toMatchObject([
        { channel_name: 'new', span: [0, 1_000] },
        { channel_name: 'old', span: null, latest: { timestamp: 1, value: 2 } },
      ]);
      const byQuery = await following(`${path}&after=${lastId(first)}`);
      expect(await byQuery.ended()).toBe(true);
      expect(byQuery.events[0]?.data).toEqual(again.events[0]?.data);
    }
  });
});

test('the list of runs tells of an old run beyond the newest, and of one that is deleted', async () => {
  const old = await open();
  await store(old, 0, 'p');
  await storing.owner.pool.query(
    `update channels set changed_at = now() - interval '2 hours' where data_id = $1::uuid`,
    [old],
  );
  await storing.owner.pool.query(
    `update streams set created_at = now() - interval '2 hours', changed_at = now() - interval '2 hours' where data_id = $1::uuid`,
    [old],
  );
  const newer = [await open(), await open(), await open()];
  const list = await following('/live');
  await list.until((events) =>
    newer.every((id) => events.some(({ data }) => data.data_id === id && data.status === 'live')),
  );
  expect(list.events.some(({ data }) => data.data_id === old)).toBe(false);
  const told = (id: string) => list.events.filter(({ data }) => data.data_id === id).map(({ data }) => data);
  await store(old, 1, 'p');
  expect(await list.until(() => told(old)[0])).toMatchObject({
    point_count: 4,
    status: 'live',
    missing_chunk_count: 0,
  });
  for (const id of [old, newer[2] as string]) {
    await storing.send('DELETE', `/data_entries/?data_ids=${id}`);
    await list.until(() => told(id).find(({ status }) => status === 'deleted'));
  }
});
