import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test, vi } from 'vitest';
import { hashApiKey } from '../../src/auth/api-key.ts';
import { createKey } from '../../src/auth/keys.ts';
import { liveLimits } from '../../src/live/limits.ts';
import { createSubscribers, type Subscriber } from '../../src/live/subscribers.ts';
import { openConnection } from '../http/support/listening-app.ts';
import { startTestServer, type TestLimits, type TestServer } from '../support/test-server.ts';
import { type Follower, follow, poll } from './support/follower.ts';

/* Every bound of those who follow, made so small that it is met. */

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let server: TestServer;
let port: number;
const followers: Follower[] = [];

afterEach(async () => {
  for (const one of followers.splice(0)) one.leave();
  await server?.close();
});

async function start(live: Partial<NonNullable<TestLimits['live']>> = {}, limits: TestLimits = {}): Promise<void> {
  server = await startTestServer({}, { ...limits, live });
  await server.app.listen({ host: '127.0.0.1', port: 0 });
  port = (server.app.server.address() as AddressInfo).port;
}

async function following(path: string, key = server.keys.ada) {
  const follower = await follow(port, path, key);
  followers.push(follower);
  return follower;
}

async function open(key = server.keys.ada): Promise<string> {
  return (await server.post('/metrology/stream/initialize', { points_per_chunk: 1 }, key)).json.data_id;
}

const store = (data_id: string, chunk_index: number, channel_name: string, key = server.keys.ada) =>
  server.post('/metrology/stream/chunk', { data_id, chunk_index, channel_name, timestamps: [1], values: [1] }, key);

const metric = async (name: string) =>
  new RegExp(`^${name} (\\d+)$`, 'm').exec((await server.get('/metrics')).text)?.[1];

test('an organization follows on as many connections as it leaves free; who leaves makes room', async () => {
  await start({ subscribersMax: 4 });
  const id = await open();
  const path = `/metrology/${id}/live`;
  const two = [await following(path), await following(path)];
  const refused = await server.get(`${path}?max_seconds=0`);
  expect([refused.status, refused.json.detail]).toEqual([503, expect.stringContaining('(subscribersMax, 4)')]);
  expect(refused.headers['retry-after']).toBe('1');
  expect((await following('/live', server.keys.rival)).status).toBe(200);
  expect(await metric('metrology_live_subscribers')).toBe('3');
  two[0]?.leave();
  await poll(async () => ((await server.get(`${path}?max_seconds=0`)).status === 200 ? true : undefined));
  for (const one of followers) one.leave();
  await poll(async () => ((await metric('metrology_live_runs')) === '0' ? true : undefined));
});

test('the channels of all runs that are followed are bounded, fairly between organizations', async () => {
  await start({ followedChannelsMax: 4 });
  const [one, other, rivals] = [await open(), await open(), await open(server.keys.rival)];
  for (const [id, name] of [
    [one, 'a'],
    [one, 'b'],
    [other, 'c'],
  ] as const)
    await store(id, 0, name);
  await store(rivals, 0, 'd', server.keys.rival);
  expect((await following(`/metrology/${one}/live`)).status).toBe(200);
  const refused = await server.get(`/metrology/${other}/live?max_seconds=0`);
  expect([refused.status, refused.json.detail]).toEqual([503, expect.stringContaining('(followedChannelsMax, 4)')]);
  expect((await following(`/metrology/${rivals}/live`, server.keys.rival)).status).toBe(200);
  // More who follow the same cost no more of it.
  expect((await following(`/metrology/${one}/live`)).status).toBe(200);
});

test('runs of one connection, and its seconds, are bounded; what is no cursor is refused in the query alone', async () => {
  await start({ runsPerSubscriberMax: 2, secondsMax: 10 });
  const ids = [await open(), await open(), await open()].map((id) => `data_id=${id}`);
  expect((await server.get(`/live?max_seconds=0&${ids.slice(1).join('&')}`)).status).toBe(200);
  const many = await server.get(`/live?max_seconds=0&${ids.join('&')}`);
  expect([many.status, many.text]).toEqual([422, expect.stringMatching(/data_id.*2 items/)]);
  for (const query of ['max_seconds=11', 'max_seconds=-1', 'after=x', 'data_id=x', 'data_ids=x']) {
    expect((await server.get(`/live?max_seconds=0&${query}`)).status, query).toBe(422);
  }
  const odd = await follow(port, `/live?max_seconds=0&${ids[0]}`, server.keys.ada, {
    'last-event-id': 'of another server',
  });
  expect(await odd.ended()).toBe(true);
  expect(odd.events).toHaveLength(1);
  const before = performance.now();
  const second = await following(`/live?max_seconds=0.3`);
  expect(await second.ended()).toBe(true);
  expect(performance.now() - before).toBeGreaterThan(250);
  expect(second.text()).toMatch(/retry: 2000\n\n$/);
});

test('one that does not read is cut off when it finds so much waiting, and the others are told as ever', async () => {
  const subscribers = createSubscribers({ ...liveLimits, subscriberBytesMax: 100_000 });
  const open = () => subscribers.open({ organizationId: 'lab', mayGoOn: async () => true });
  const all: Subscriber[] = [];
  const telling = http.createServer((_request, response) => {
    const subscriber = open();
    all.push(subscriber);
    pipeline(subscriber.stream, response, () => {});
    subscriber.send(Buffer.from('data: 0\n\n'));
  });
  await new Promise<void>((resolve) => telling.listen(0, '127.0.0.1', resolve));
  const { port: ownPort } = telling.address() as AddressInfo;
  const [reading, stalled] = [await follow(ownPort, '/', ''), await follow(ownPort, '/', '')];
  followers.push(reading, stalled);
  await reading.until((events) => events[0]);
  stalled.pause();
  const frame = Buffer.from(`data: 1\n: ${'x'.repeat(1_000_000)}\n\n`);
  let count = 1;
  // The systems of both ends buffer some MB, too.
  while (subscribers.count() === 2 && count < 100) {
    for (const one of all) one.send(frame);
    count++;
    await reading.until((events) => events.length === count);
  }
  expect(subscribers.count()).toBe(1);
  for (const one of all) one.send(Buffer.from('data: 2\n\n'));
  await reading.until((events) => events.at(-1)?.data === 2);
  stalled.response.resume();
  expect(await stalled.ended()).toBe(false);
  subscribers.close();
  expect(await reading.ended()).toBe(true);
  telling.close();
});

test('heartbeats are sent, and a key that was revoked or has ended is told no more', async () => {
  await start({ heartbeatMs: 20, keyLookMs: 20 }, { auth: { keyCacheMsMax: 10 } });
  const id = await open();
  const key = await createKey(server.database, 'lab', 'ada');
  const [own, others] = [await following(`/metrology/${id}/live`, key), await following(`/metrology/${id}/live`)];
  await poll(() => (own.text().includes(': heartbeat\n\n') ? true : undefined));
  await server.owner.pool.query('update api_keys set revoked_at = now() where key_hash = $1::bytea', [hashApiKey(key)]);
  expect(await own.ended()).toBe(true);
  const soFar = others.text().length;
  await poll(() => (others.text().length > soFar ? true : undefined));
});

test('who follows a list in which nothing is live is answered at once, and not with the first heartbeat', async () => {
  await start({ heartbeatMs: 3_600_000 });
  const one = await following('/live');
  expect([one.status, one.events]).toEqual([200, []]);
  await store(await open(), 0, 'p');
  await one.until((events) => events.find(({ data }) => data.point_count === 1));
});

test('who follows keeps no place of a read', async () => {
  await start({}, { http: { readsMax: 1 } });
  const id = await open();
  await store(id, 0, 'p');
  for (let i = 0; i < 3; i++) expect((await following(`/metrology/${id}/live`)).status).toBe(200);
  expect((await server.get(`/metrology/${id}/latest`)).status).toBe(200);
  expect(await metric('metrology_reads')).toBe('0');
});

test('nothing is asked while nobody follows, and one look for all while many do', async () => {
  await start({ lookMs: 50, eventMsMin: 1_000 });
  const looks = async () => Number((await metric('metrology_live_looks')) ?? Number.NaN);
  const id = await open();
  await store(id, 0, 'p');
  await sleep(300);
  expect(await looks()).toBe(0);
  const many = await Promise.all(Array.from({ length: 20 }, () => following(`/metrology/${id}/live`)));
  await poll(async () => ((await looks()) >= 3 ? true : undefined));
  const [from, at] = [await looks(), performance.now()];
  await sleep(500);
  const count = (await looks()) - from;
  expect(count).toBeLessThanOrEqual((performance.now() - at) / 50 + 2);
  for (const one of many) one.leave();
  await poll(async () => ((await metric('metrology_live_subscribers')) === '0' ? true : undefined));
  await sleep(200);
  const after = await looks();
  await sleep(300);
  expect(await looks()).toBe(after);
});

test('one that has closed its half of the connection is told the state, and no more', async () => {
  await start();
  const id = await open();
  const connection = await openConnection(port);
  let text = '';
  connection.socket.on('data', (data) => {
    text += data;
  });
  connection.socket.end(`GET /metrology/${id}/live HTTP/1.1\r\nhost: x\r\nx-api-key: ${server.keys.ada}\r\n\r\n`);
  expect(await connection.ended()).toBe('closed');
  expect(text).toMatch(/event: channels[\s\S]*retry: 2000/);
});

test('a server that ends says when to come back, waits for nobody who follows, and takes no more', async () => {
  await start();
  const id = await open();
  const all = [await following(`/metrology/${id}/live`), await following('/live')];
  server.app.endEventStreams();
  for (const one of all) {
    expect(await one.ended()).toBe(true);
    expect(one.text()).toMatch(/retry: 2000\n\n$/);
  }
  const refused = await server.get('/live?max_seconds=0');
  expect([refused.status, refused.json.detail]).toEqual([503, expect.stringContaining('ending')]);
});

test('closing the app ends those who follow', async () => {
  await start();
  const one = await following('/live');
  const closed = server.app.close();
  expect(await one.ended()).toBe(true);
  await closed;
});

test('another organization is told nothing of a run, and its run is as one that is not there', async () => {
  await start();
  const [id, own] = [await open(), await open(server.keys.rival)];
  const list = await following('/live', server.keys.rival);
  const both = await following(`/live?data_id=${id}&data_id=${own}`, server.keys.rival);
  await both.until((events) => events.find(({ data }) => data.data_id === id && data.status === 'deleted'));
  await store(id, 0, 'p');
  await store(own, 0, 'q', server.keys.rival);
  await list.until((events) => events.find(({ data }) => data.point_count === 1));
  await both.until((events) => events.find(({ data }) => data.channels?.[0]?.channel_name === 'q'));
  expect(list.text()).not.toContain(id);
  expect(both.text()).not.toContain('"p"');
});

test('a late chunk is told with its own span within nearChunksMax below the newest, and with all times beyond', async () => {
  await start({ nearChunksMax: 3 });
  const id = await open();
  const at = (index: number) =>
    server.post('/metrology/stream/chunk', {
      ...{ data_id: id, chunk_index: index, channel_name: 'p', timestamps: [index], values: [1] },
    });
  for (const index of [0, 2, 3, 4, 6, 8, 9]) await at(index);
  const one = await following(`/metrology/${id}/live`);
  const spanAfter = async (chunkCount: number) => {
    const find = ({ data }: Follower['events'][0]) => data.channels?.[0]?.chunk_count === chunkCount;
    return (await one.until((events) => events.find(find))).data.channels[0].span;
  };
  await spanAfter(7);
  // Two lie above it.
  await at(7);
  expect(await spanAfter(8)).toEqual([7_000, 7_000]);
  // Four lie above it: it is not among the new one and the three below it.
  await at(5);
  expect(await spanAfter(9)).toEqual([0, 9_000]);
  await at(10);
  expect(await spanAfter(10)).toEqual([10_000, 10_000]);
});

test('who comes back relies on commits that take no longer than commitMsMax', async () => {
  await start({ commitMsMax: 60_000 });
  const id = await open();
  await store(id, 0, 'p');
  const stateAfter = async (query = '') => {
    const one = await following(`/metrology/${id}/live?max_seconds=0${query}`);
    const event = await one.until(([first]) => first);
    return { id: event.id as string, span: event.data.channels[0].span };
  };
  const { id: cursor, span } = await stateAfter();
  expect(span).toEqual([1_000, 1_000]);
  // The chunk is a little older than the cursor: a commit of its time may have been under way then, but not after two minutes.
  expect((await stateAfter(`&after=${cursor}`)).span).toEqual([1_000, 1_000]);
  const older = `update channels set changed_at = changed_at - interval '2 minutes' where data_id = $1::uuid`;
  await server.owner.pool.query(older, [id]);
  await poll(async () => ((await stateAfter(`&after=${cursor}`)).span === null ? true : undefined));
});

test('events of a run are as far apart as those who follow it are many', async () => {
  await start({ lookMs: 20, eventMsMin: 10, eventMsPerSubscriber: 150 });
  const id = await open();
  await store(id, 0, 'p');
  const many = await Promise.all(Array.from({ length: 4 }, () => following(`/metrology/${id}/live`)));
  const [one] = many as [Follower];
  await one.until((events) => events[0]);
  const before = performance.now();
  for (let index = 1; index <= 60; index++) {
    await store(id, index, 'p');
    await sleep(20);
  }
  await one.until((events) => events.find(({ data }) => data.channels?.[0]?.chunk_count === 61));
  const ms = performance.now() - before;
  expect(one.events.length - 1).toBeLessThanOrEqual(ms / 600 + 2);
});
