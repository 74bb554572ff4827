import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { channelRows, chunkBody, openStream, recountedChannels, storedChunks } from '../streams/support/chunks.ts';
import { joinTestServer, startTestServer, type TestServer } from '../support/test-server.ts';
import { askNode, killNode, nodeOf } from './support/node.ts';

/* What ingest promises, on the nodes of a cluster. */

let server: TestServer;
/** A second server on the same cluster. */
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

/** A stream on each node. */
async function streamOnEachNode(): Promise<Map<number, string>> {
  const streams = new Map<number, string>();
  for (let tries = 0; tries < 100 && streams.size < inject('workerUrls').length; tries++) {
    const dataId = await openStream(server);
    streams.set(await nodeOf(server, dataId), dataId);
  }
  return new Map([...streams].filter(([port]) => inject('workerUrls').some((url) => url.includes(`:${port}`))));
}

async function expectExact(dataId: string): Promise<void> {
  expect(await channelRows(server, dataId)).toEqual(await recountedChannels(server, dataId));
}

test('two servers write the same slices of streams of all nodes: one content wins whole, and counters are exact', async () => {
  const streams = [...(await streamOnEachNode()).values()];
  const writers = Array.from({ length: 24 }, (_, i) => i);
  const sent = streams.flatMap((dataId) =>
    writers.flatMap((i) => [0, 1, 2].map((index) => chunkBody(dataId, index, `c${i % 2}`, [i, i, i]))),
  );
  const answers = await Promise.all(sent.map((body, i) => (i % 2 ? server : sibling).post(chunkUrl, body)));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
  for (const dataId of streams) {
    await expectExact(dataId);
    const chunks = await storedChunks(server, dataId);
    expect(chunks).toHaveLength(6);
    for (const { values } of chunks) expect(new Set(values).size).toBe(1);
  }
});

test('a channel changes later and later, also for a writer that has waited for it', async () => {
  const dataId = await openStream(server);
  await server.post(chunkUrl, chunkBody(dataId, 0, 't', [1]));
  const moments = async () => {
    const { rows } = await server.owner.pool.query<{ moment: string }>(
      `select k.changed_at::text as moment from chunks k where data_id = $1 order by chunk_index`,
      [dataId],
    );
    return rows.map(({ moment }) => moment);
  };
  for (let index = 1; index < 20; index += 2) {
    const both = [server, sibling].map((one, i) => one.post(chunkUrl, chunkBody(dataId, index + i, 't', [1])));
    await Promise.all(both);
  }
  const all = await moments();
  expect(new Set(all).size).toBe(all.length);
  const { rows } = await server.owner.pool.query('select changed_at::text as moment from channels where data_id = $1', [
    dataId,
  ]);
  expect(rows[0].moment).toBe(all.toSorted().at(-1));
});

test('a replay writes nothing on any node', async () => {
  const streams = [...(await streamOnEachNode()).values()];
  const bodies = streams.flatMap((dataId) => [0, 1, 2].map((index) => chunkBody(dataId, index, 't', [1, 2, 3])));
  const sendAll = () => Promise.all(bodies.map((body) => server.post(chunkUrl, body)));
  await sendAll();
  await sleep(500);
  const logged = async () => {
    const urls = inject('workerUrls');
    const rows = await Promise.all(
      urls.map((url) => askNode<{ place: string }>(url, 'select pg_current_wal_insert_lsn()::text as place')),
    );
    return rows.flat().map(({ place }) => place);
  };
  // PostgreSQL itself writes into its log from time to time, so one quiet replay is enough.
  await expect
    .poll(
      async () => {
        const before = await logged();
        const answers = await sendAll();
        expect(new Set(answers.map(({ headers }) => headers['chunk-outcome']))).toEqual(new Set(['unchanged']));
        return [before, await logged()];
      },
      { timeout: 30_000, interval: 300 },
    )
    .toSatisfy(([before, after]) => String(before) === String(after));
});

test('a replaced chunk is in no block of an overview any more', async () => {
  const dataId = await openStream(server);
  for (const index of [0, 70]) await server.post(chunkUrl, chunkBody(dataId, index, 't', [1, 2, 3]));
  const { owner } = server;
  const blocks = async () => {
    const { rows } = await owner.pool.query('select "level", block from overviews where data_id = $1 order by 1, 2', [
      dataId,
    ]);
    return rows.map(({ level, block }) => [level, Number(block)]);
  };
  const { rows: columns } = await owner.pool.query<{ name: string; type: string }>(
    `select attname as name, format_type(atttypid, null) as type from pg_attribute
     where attrelid = 'overviews'::regclass and attnum > 0 and attnotnull and not atthasdef`,
  );
  const { rows: channels } = await owner.pool.query(
    'select channel_id, organization_id from channels where data_id = $1',
    [dataId],
  );
  const known: Record<string, unknown> = { data_id: dataId, ...channels[0] };
  for (const block of [0, 1]) {
    const row = columns.map(({ name, type }) => known[name] ?? { level: 1, block }[name] ?? emptyOf(type));
    const places = columns.map(({ type }, i) => `$${i + 1}::${type}`);
    await owner.pool.query(
      `insert into overviews (${columns.map(({ name }) => `"${name}"`).join(', ')}) values (${places.join(', ')})`,
      row,
    );
  }
  expect(await blocks()).toEqual([
    [1, 0],
    [1, 1],
  ]);
  expect((await server.post(chunkUrl, chunkBody(dataId, 70, 't', [4]))).headers['chunk-outcome']).toBe('replaced');
  expect(await blocks()).toEqual([[1, 0]]);
});

const emptyOf = (type: string) => (type === 'bytea' ? Buffer.alloc(0) : type.endsWith('[]') ? '{}' : 0);

test('a node is killed while chunks come: those of other nodes go on, no acknowledged chunk is lost, and it comes back', async () => {
  const streams = await streamOnEachNode();
  const [[killed, lost], [, kept]] = [...streams] as [[number, string], [number, string]];
  const sent = new Map(
    [lost, kept].map((dataId) => [dataId, { acknowledged: new Set<number>(), slowest: 0, other: [] as number[] }]),
  );
  let isOver = false;
  let isAway = false;
  const waiting: Promise<void>[] = [];
  const write = async (dataId: string) => {
    const { acknowledged, other } = sent.get(dataId) as { acknowledged: Set<number>; other: number[] };
    for (let index = 0; !isOver; index++) {
      const from = performance.now();
      const wasAway = isAway;
      const one = sendUntilStored(dataId, index).then(() => {
        acknowledged.add(index);
        if (wasAway && isAway) other.push(performance.now() - from);
      });
      waiting.push(one);
      await (dataId === kept ? one : Promise.race([one, sleep(50)]));
      await sleep(5);
    }
  };
  const sendUntilStored = async (dataId: string, index: number) => {
    for (;;) {
      const { status, headers } = await (index % 2 ? server : sibling).post(
        chunkUrl,
        chunkBody(dataId, index, `c${index % 3}`, [index]),
      );
      if (status === 201) return;
      expect([status, headers['retry-after'] !== undefined]).toEqual([503, true]);
      await sleep(200);
    }
  };
  const writers = [write(lost), write(kept)];
  await sleep(1_500);
  const start = await killNode(killed);
  isAway = true;
  await sleep(4_000);
  const read = await server.get(`/tool-state/${lost}/timeseries/?last_n=1`);
  const opened = await server.post('/tool-state/stream/initialize', { points_per_chunk: 3 });
  isAway = false;
  await start();
  const backAt = performance.now();
  const { acknowledged } = sent.get(lost) as { acknowledged: Set<number> };
  const before = acknowledged.size;
  await expect.poll(() => acknowledged.size, { timeout: 20_000, interval: 20 }).toBeGreaterThan(before);
  const backMs = performance.now() - backAt;
  await sleep(1_000);
  isOver = true;
  await Promise.all([...writers, ...waiting]);
  const pauses = (sent.get(kept) as { other: number[] }).other;
  expect(read.status).toBe(503);
  expect(opened.status).toBe(200);
  // Loose bounds, since a machine of tests may be slow. Without a node that is away a chunk takes a few ms.
  expect(pauses.length).toBeGreaterThan(5);
  expect(pauses.toSorted((one, other) => one - other)[pauses.length >> 1]).toBeLessThan(1_000);
  expect(backMs).toBeLessThan(5_000);
  for (const [dataId, { acknowledged: indexes }] of sent) {
    const stored = new Set((await storedChunks(server, dataId)).map(({ chunk_index }) => Number(chunk_index)));
    expect([...indexes].filter((index) => !stored.has(index))).toEqual([]);
    await expectExact(dataId);
  }
});
