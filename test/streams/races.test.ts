import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { joinTestServer, startTestServer, type TestServer } from '../support/test-server.ts';
import { channelRows, chunkBody, openStream, recountedChannels, storedChunks } from './support/chunks.ts';

/* The same addresses from many writers at once: the winner is whole, the counters are exact, nobody sees a deadlock. */

let server: TestServer;
/** A second server on the same database. */
let sibling: TestServer;
beforeAll(async () => {
  server = await startTestServer();
  sibling = await joinTestServer(server);
});
afterAll(async () => {
  await sibling.close();
  await server.close();
});

const chunkUrl = '/tool-state/stream/chunk';
const multiUrl = '/tool-state/stream/chunk/multi';

describe('single chunks', () => {
  test('one chunk, 32 writers with equal content: stored once', async () => {
    const dataId = await openStream(server);
    const body = chunkBody(dataId, 0, 't', [1, 2, 3]);
    const answers = await Promise.all(Array.from({ length: 32 }, () => server.post(chunkUrl, body)));
    expect(answers.map(({ status, json }) => [status, json.total_points])).toEqual(Array(32).fill([201, 3]));
    expect((await storedChunks(server, dataId)).map((row) => row.replaced_count)).toEqual([0]);
  });

  test('one chunk, 32 writers with contents of different length: one wins whole', async () => {
    const dataId = await openStream(server);
    const contents = Array.from({ length: 32 }, (_, i) => Array(i + 1).fill(i));
    const answers = await Promise.all(
      contents.map((values, i) => (i % 2 ? server : sibling).post(chunkUrl, chunkBody(dataId, 0, 't', values))),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(32).fill(201));
    const [row] = await storedChunks(server, dataId);
    expect(contents).toContainEqual(row?.values);
    expect(row?.replaced_count).toBe(31);
    expect(await channelRows(server, dataId)).toEqual(await recountedChannels(server, dataId));
  });

  test('200 chunks of one new channel at once, each three times: all there, counted once', async () => {
    const dataId = await openStream(server);
    const bodies = Array.from({ length: 600 }, (_, i) => chunkBody(dataId, i % 200, 't', [i % 200, null, 1]));
    const answers = await Promise.all(bodies.map((body) => server.post(chunkUrl, body)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
    expect(Math.max(...answers.map(({ json }) => json.total_points))).toBe(600);
    expect(await channelRows(server, dataId)).toMatchObject([{ chunk_count: 200, point_count: 600, null_count: 200 }]);
  });
});

describe('chunks of several channels', () => {
  test('channels in opposite orders, new and conflicting, through two servers: no deadlock, exact counters', async () => {
    const dataId = await openStream(server);
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const requests = Array.from({ length: 240 }, (_, i) => {
      const order = i % 2 === 0 ? names : [...names].reverse();
      const length = 1 + (i % 3);
      const values = Array(length).fill(i % 5);
      const channels = Object.fromEntries(
        order.map((name) => [name, { timestamps: values, values, units: `u${i % 2}` }]),
      );
      const one = i % 4 < 2 ? server : sibling;
      return one.post(multiUrl, { data_id: dataId, chunk_index: i % 7, channels });
    });
    const answers = await Promise.all(requests);
    expect(answers.filter(({ status }) => status !== 201).map(({ text }) => text)).toEqual([]);
    expect(await channelRows(server, dataId)).toEqual(await recountedChannels(server, dataId));
    const rows = await storedChunks(server, dataId);
    for (let index = 0; index < 7; index++) {
      const ofOneChunk = rows.filter((row) => row.chunk_index === index).map((row) => JSON.stringify(row.values));
      expect(new Set(ofOneChunk).size).toBe(1);
    }
  });

  test('finalize while chunks arrive: every answer is 201 and all is there', async () => {
    const dataId = await openStream(server);
    const answers = await Promise.all([
      ...Array.from({ length: 60 }, (_, i) => server.post(chunkUrl, chunkBody(dataId, i, 't', [i]))),
      server.post(`/tool-state/stream/${dataId}/finalize`),
      server.post(`/tool-state/stream/${dataId}/finalize`),
      ...Array.from({ length: 60 }, (_, i) => server.post(chunkUrl, chunkBody(dataId, 60 + i, 't', [i]))),
    ]);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 201]));
    expect(await channelRows(server, dataId)).toMatchObject([{ chunk_count: 120, point_count: 120 }]);
  });
});
