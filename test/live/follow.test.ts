import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { type Follower, follow } from './support/follower.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let server: TestServer;
let port: number;
const followers: Follower[] = [];

beforeAll(async () => {
  server = await startTestServer();
  await server.app.listen({ host: '127.0.0.1', port: 0 });
  port = (server.app.server.address() as AddressInfo).port;
});
afterAll(async () => {
  for (const one of followers) one.leave();
  await server?.close();
});

async function following(path: string, headers: Record<string, string> = {}, key = server.keys.ada) {
  const follower = await follow(port, path, key, headers);
  followers.push(follower);
  return follower;
}

async function open(): Promise<string> {
  return (await server.post('/metrology/stream/initialize', { points_per_chunk: 2 })).json.data_id;
}

const store = (data_id: string, chunk_index: number, channel_name: string, timestamps: number[], values: unknown[]) =>
  server.post('/metrology/stream/chunk', { data_id, chunk_index, channel_name, timestamps, values, units: 'nm' });

describe('a run that is followed', () => {
  test('is told whole at first, then what changes in it, then that it is finalized', async () => {
    const id = await open();
    await store(id, 0, 'p', [10.0005, 11], [1, 2]);
    const follower = await following(`/metrology/${id}/live`);
    expect(follower.status).toBe(200);
    expect(follower.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
    });
    const first = await follower.until(([event]) => event);
    expect(first).toEqual({
      id: expect.stringMatching(/^\d{16}$/),
      event: 'channels',
      data: {
        data_id: id,
        status: 'live',
        channels: [
          {
            ...{ channel_name: 'p', units: 'nm', chunk_count: 1, point_count: 2, last_chunk_index: 0 },
            changed_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
            ...{ span: [10_000, 11_000], latest: { timestamp: 11, value: 2 } },
          },
        ],
      },
    });
    await store(id, 2, 'p', [14, 15], [4, 5]);
    await store(id, 0, 'q', [1, 2], [-0, null]);
    const p = await follower.until((events) =>
      events
        .slice(1)
        .flatMap(({ data }) => data.channels)
        .find((one) => one.channel_name === 'p'),
    );
    expect(p).toMatchObject({ chunk_count: 2, point_count: 4, last_chunk_index: 2, span: [14_000, 15_000] });
    const q = await follower.until((events) =>
      events
        .slice(1)
        .flatMap(({ data }) => data.channels)
        .find((one) => one.channel_name === 'q'),
    );
    expect(q).toMatchObject({ span: [1_000, 2_000], latest: { timestamp: 2, value: null } });
    await server.post(`/metrology/stream/${id}/finalize`);
    const last = await follower.until((events) => events.find(({ event }) => event === 'status'));
    expect(last.data).toEqual({ data_id: id, status: 'finalized' });
  });

  test('whose chunk is replaced by another of as many points tells its span, of what it held too', async () => {
    const id = await open();
    await store(id, 0, 'p', [10, 11], [1, 2]);
    await store(id, 1, 'p', [12, 13], [3, 4]);
    const follower = await following(`/metrology/${id}/live`);
    await follower.until(([event]) => event);
    await store(id, 0, 'p', [10.5, 11.5], [1, 2]);
    const event = await follower.until((events) => events[1]);
    expect(event.data.channels).toMatchObject([{ chunk_count: 2, point_count: 4, span: [10_000, 11_500] }]);
  });

  test('tells a late chunk far below the newest with a span that holds it', async () => {
    const id = await open();
    const indexes = Array.from({ length: 99 }, (_, i) => i + 1);
    await Promise.all(indexes.map((i) => store(id, i, 'p', [i * 10, i * 10 + 1], [i, i])));
    const follower = await following(`/metrology/${id}/live`);
    await follower.until(([event]) => event);
    await store(id, 0, 'p', [0, 1], [0, 0]);
    const event = await follower.until((events) => events[1]);
    expect(event.data.channels).toMatchObject([{ chunk_count: 100, span: [0, 991_000], latest: { timestamp: 991 } }]);
    await store(id, 99, 'p', [990, 991], [0, 0]);
    const next = await follower.until((events) => events[2]);
    expect(next.data.channels).toMatchObject([{ span: [990_000, 991_000], latest: { timestamp: 991, value: 0 } }]);
  });

  test('is followed under every prefix, and of several on one connection', async () => {
    const [one, other] = [await open(), await open()];
    const both = await following(`/live?data_id=${one}&data_id=${other.toUpperCase()}`);
    const byPrefix = await Promise.all(
      ['metrology', 'tool-state', 'instrument-timeseries'].map((p) => following(`/${p}/${one}/live`)),
    );
    await both.until((events) => events.length === 2);
    await store(one, 0, 'p', [1, 2], [1, 2]);
    await store(other, 0, 'q', [1, 2], [1, 2]);
    for (const name of ['p', 'q'])
      await both.until((events) => events.find(({ data }) => data.channels[0]?.channel_name === name));
    for (const follower of byPrefix)
      await follower.until((events) => events.find(({ data }) => data.channels[0]?.channel_name === 'p'));
  });
});

test('the newest reading of every channel', async () => {
  const id = await open();
  await store(id, 1, 'p', [3, 4], [1, -0]);
  await store(id, 0, 'p', [1, 2], [1, 2]);
  await store(id, 0, 'late', [9, 5], [7, 8]);
  await store(id, 1, 'late', [1, 2], [1, null]);
  const { status, json, text } = await server.get(`/metrology/${id}/latest`);
  expect(status, text).toBe(200);
  const counts = { point_count: 4, chunk_count: 2, changed_at: expect.stringMatching(/^20\d\d-.*\.\d{6}Z$/) };
  expect(json).toEqual({
    data_id: id,
    status: 'live',
    channels: [
      { channel_name: 'late', units: 'nm', timestamp: 9, value: 7, chunk_index: 0, ...counts },
      { channel_name: 'p', units: 'nm', timestamp: 4, value: -0, chunk_index: 1, ...counts },
    ],
  });
  // Whoever follows the run after that sees by it what has changed meanwhile, also where no counter tells.
  const told = async () => {
    const { events } = await following(`/metrology/${id}/live?max_seconds=0`).then((follower) =>
      follower.until((all) => all.length > 0).then(() => follower),
    );
    return events[0]?.data.channels.map((one: { changed_at: string }) => one.changed_at);
  };
  const before = json.channels.map((one: { changed_at: string }) => one.changed_at);
  expect(await told()).toEqual(before);
  await store(id, 0, 'p', [1, 2], [1, 3]);
  const [late, p] = await told();
  expect(late).toBe(before[0]);
  expect(p > before[1]).toBe(true);
});

describe('the list of runs', () => {
  test('tells of each run that changes, is opened, finalized or deleted', async () => {
    const id = await open();
    await store(id, 0, 'p', [1, 2], [1, 2]);
    const list = await following('/live');
    const own = (events: Follower['events']) =>
      events.filter(({ data }) => data.data_id === id).map(({ data }) => data);
    await list.until((events) => own(events).length === 1);
    expect(own(list.events)).toEqual([
      {
        data_id: id,
        point_count: 2,
        missing_chunk_count: 0,
        seconds: 1,
        status: 'live',
        last_chunk_at: expect.stringMatching(/Z$/),
      },
    ]);
    await store(id, 3, 'p', [7, 8], [1, 2]);
    await list.until((events) => own(events).find((run) => run.missing_chunk_count === 2 && run.point_count === 4));
    const other = await open();
    await list.until((events) => events.find(({ data }) => data.data_id === other && data.last_chunk_at === null));
    await server.post(`/metrology/stream/${id}/finalize`);
    await list.until((events) => own(events).find((run) => run.status === 'finalized'));
    await server.send('DELETE', `/data_entries/?data_ids=${id}`);
    await list.until((events) => own(events).find((run) => run.status === 'deleted'));
  });
});

test.each([5e-324, -1e-310, 1e-200, 0, -8.64e12, 8.64e12])(
  'the newest reading at the extreme time %s',
  async (time) => {
    const id = await open();
    await store(id, 0, 'p', [time], [3]);
    const { status, json, text } = await server.get(`/metrology/${id}/latest`);
    expect(status, text).toBe(200);
    expect(json.channels).toMatchObject([{ timestamp: time, value: 3 }]);
    expect((await server.get(`/metrology/${id}/live?max_seconds=0`)).status).toBe(200);
  },
);
