import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { administer, urlOfDatabase } from '../support/global-setup.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

/* A worker that is away: its connections end, and it takes none. Only the database of this file is cut off from it. */

let server: TestServer;
/** A stream on each of the workers. */
let streams: Map<string, string>;
beforeAll(async () => {
  server = await startTestServer();
  streams = new Map();
  for (let i = 0; streams.size < inject('workerUrls').length; i++) {
    const { json } = await server.post('/metrology/stream/initialize', {
      stream_name: `run ${i}`,
      points_per_chunk: 2,
    });
    const { rows } = await server.owner.pool.query<{ node: string }>(
      `select nodename || ':' || nodeport as node from citus_shards
       where shardid = get_shard_id_for_distribution_column('streams', $1::uuid)`,
      [json.data_id],
    );
    streams.set(rows[0]?.node as string, json.data_id);
  }
});
afterAll(() => server?.close());

const chunk = (data_id: string, chunk_index: number) =>
  server.post('/metrology/stream/chunk', {
    ...{ data_id, chunk_index, channel_name: 'c' },
    timestamps: [1.7e9 + 2 * chunk_index, 1.7e9 + 2 * chunk_index + 1],
    values: [1, 2],
  });

const name = () => new URL(server.databaseUrl).pathname.slice(1);

/** @param url of the worker, as the administrator */
async function cut(url: string): Promise<void> {
  await administer(
    url,
    `set citus.enable_ddl_propagation = off; alter database ${name()} with allow_connections false`,
  );
  await administer(url, `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name()}'`);
}

const join = (url: string) =>
  administer(url, `set citus.enable_ddl_propagation = off; alter database ${name()} with allow_connections true`);

test('streams of other workers go on, those of its own wait, and each chunk that was sent is stored once it is back', async () => {
  const lost = inject('workerUrls')[0] as string;
  const { host } = new URL(lost);
  const away = streams.get(host) as string;
  const [other] = [...streams].flatMap(([node, dataId]) => (node === host ? [] : [dataId]));
  for (const dataId of streams.values()) expect((await chunk(dataId, 0)).status).toBe(201);
  await cut(lost);
  let isBack = false;
  const waiting = Array.from({ length: 5 }, (_, i) => chunk(away, i + 1).finally(() => expect(isBack).toBe(true)));
  for (let i = 1; i <= 5; i++) {
    const { status, text } = await chunk(other as string, i);
    expect([status, text]).toEqual([201, text]);
  }
  expect(await server.database.readiness.look(0)).toBe(undefined);
  await sleep(1_000);
  isBack = true;
  await join(lost);
  expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([201, 201, 201, 201, 201]);
  const { rows } = await server.owner.pool.query('select data_id, count(*) from chunks group by 1');
  expect(rows.map(({ count }) => count)).toEqual([6, 6]);
});

test('a read of a stream that is away is answered 503, and one of another stream as ever', async () => {
  const lost = inject('workerUrls')[0] as string;
  const { host } = new URL(lost);
  await cut(lost);
  try {
    for (const [node, dataId] of streams) {
      const { status } = await server.get(`/metrology/${dataId}/timeseries/`);
      expect([node, status]).toEqual([node, node === host ? 503 : 200]);
    }
  } finally {
    await join(lost);
  }
  expect((await server.get(`/metrology/${streams.get(host)}/timeseries/`)).status).toBe(200);
});

test('a worker that is lost amid statements fails none of them for good', async () => {
  const lost = inject('workerUrls')[0] as string;
  const dataId = streams.get(new URL(lost).host) as string;
  let isOver = false;
  const sending = Array.from({ length: 8 }, async (_, lane) => {
    const said: string[] = [];
    for (let i = 0; !isOver; i++) {
      const { status, text } = await chunk(dataId, 100 + i * 8 + lane);
      said.push(status === 201 ? 'stored' : text);
    }
    return said;
  });
  for (let i = 0; i < 10; i++) {
    await sleep(150);
    await administer(
      urlOfDatabase(lost, 'postgres'),
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name()}' and backend_type = 'client backend'`,
    );
  }
  isOver = true;
  const said = (await Promise.all(sending)).flat();
  expect([...new Set(said)]).toEqual(['stored']);
  const { rows } = await server.owner.pool.query(
    'select count(*) from chunks where data_id = $1::uuid and chunk_index >= 100',
    [dataId],
  );
  expect(rows[0].count).toBe(said.length);
});
