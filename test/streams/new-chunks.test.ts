import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inTransaction } from '../../src/database/transactions.ts';
import { toChunkImage } from '../../src/streams/chunk-image.ts';
import type { KnownRow } from '../../src/streams/ingest-rows.ts';
import { streamLimits } from '../../src/streams/limits.ts';
import { insertNewChunks } from '../../src/streams/new-chunks.ts';
import { onCluster } from '../support/on-cluster.ts';
import { joinTestServer, startTestServer, type TestServer } from '../support/test-server.ts';
import { channelRows, chunkBody, openStream, recountedChannels, storedChunks } from './support/chunks.ts';

/* The statement of new chunks: it locks channels by correcting their counters, and then inserts. */

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

interface Channel {
  channelId: number;
  channelName: string;
  dataId: string;
  organizationId: string;
}

/** A stream with channels of these names, each with chunk 0. */
async function openChannels(names: string[]): Promise<Channel[]> {
  const dataId = await openStream(server);
  for (const name of names) await server.post('/tool-state/stream/chunk', chunkBody(dataId, 0, name, [1]));
  const { rows } = await server.owner.pool.query<Channel>(
    `select channel_id::float8 as "channelId", channel_name as "channelName", data_id as "dataId",
            organization_id as "organizationId"
     from channels where data_id = $1 order by channel_id`,
    [dataId],
  );
  return rows;
}

function rowOf(
  { channelId, channelName, ...ids }: Channel,
  chunkIndex: number,
  values = [1, 2],
  units: string | null = null,
) {
  const image = toChunkImage({ timestamps: values.map((_, i) => 1_700_000_000 + chunkIndex * 3 + i), values, units });
  const item = { ...ids, keyId: 1, chunkIndex };
  return { channelId, channelName, pointsPerChunk: 3, image, item } as unknown as KnownRow;
}

const ingest = () => server.database.everyOrganization.ingest;
const form = onCluster ? 'one stream' : 'any streams';
const insert = (client: pg.PoolClient, rows: KnownRow[], statementRowsMax = streamLimits.statementRowsMax) =>
  insertNewChunks(client, rows, { limits: { ...streamLimits, statementRowsMax }, form });
const insertAll = (rows: KnownRow[], statementRowsMax?: number) =>
  inTransaction(ingest(), (client) => insert(client, rows, statementRowsMax));

async function momentsOf(dataId: string) {
  const { rows } = await server.owner.pool.query<{ name: string; channel: string; chunks: string[]; stored: string[] }>(
    `select c.channel_name as name, c.changed_at::text as channel, array_agg(k.changed_at::text order by chunk_index) as chunks,
            array_agg(k.stored_at::text order by chunk_index) as stored
     from channels c join chunks k on k.data_id = c.data_id and k.channel_id = c.channel_id
     where c.data_id = $1 group by c.data_id, c.channel_id order by c.channel_id`,
    [dataId],
  );
  return rows;
}

describe('what it stores', () => {
  test('counters, span and unit are those of all chunks, whatever came in one statement, also in parts', async () => {
    const [a, b] = (await openChannels(['a', 'b'])) as [Channel, Channel];
    const rows = [
      rowOf(b, 5, [1, 2, 3]),
      rowOf(a, 9, [4], 'nm'),
      rowOf(a, 2, [5, 6], 'mm'),
      rowOf(b, 1, [7]),
      rowOf(a, 10, [8]),
    ];
    const totals = await insertAll(rows, 2);
    expect(totals).toEqual(
      new Map([
        [a.channelId, 5],
        [b.channelId, 5],
      ]),
    );
    const channels = await channelRows(server, a.dataId);
    expect(channels).toEqual(await recountedChannels(server, a.dataId));
    expect(channels.map(({ units }) => units)).toEqual(['nm', null]);
  });

  test('points without a possible time leave the span of their channel alone', async () => {
    const [a] = (await openChannels(['a'])) as [Channel];
    const image = toChunkImage({ timestamps: [null, null], values: [1, null] });
    await insertAll([{ ...rowOf(a, 1), image }]);
    expect(await channelRows(server, a.dataId)).toEqual(await recountedChannels(server, a.dataId));
  });

  test('a chunk was changed when its channel was, which a follower of the run relies on', async () => {
    const channels = await openChannels(['a', 'b', 'c']);
    await insertAll(channels.flatMap((channel) => [rowOf(channel, 1), rowOf(channel, 2)]));
    for (const { channel, chunks, stored } of await momentsOf((channels[0] as Channel).dataId)) {
      expect(chunks.slice(1)).toEqual([channel, channel]);
      expect(stored.slice(1)).toEqual([channel, channel]);
    }
  });
});

describe('what it refuses', () => {
  test('a slice that is taken: nothing is stored or counted', async () => {
    const [a, b] = (await openChannels(['a', 'b'])) as [Channel, Channel];
    const before = await channelRows(server, a.dataId);
    await expect(insertAll([rowOf(a, 1), rowOf(b, 0)])).rejects.toMatchObject({ code: '23505' });
    expect(await channelRows(server, a.dataId)).toEqual(before);
    expect(await storedChunks(server, a.dataId)).toHaveLength(2);
  });

  test.each([
    ['another organization', { organizationId: '00000000-0000-4000-8000-000000000001' }],
    ['another stream', { dataId: '00000000-0000-4000-8000-000000000001' }],
    ['another name', { channelName: 'z' }],
    ['an id that is not there', { channelId: 1_000_000_000 }],
  ])('a channel of %s: 404, and nothing of the others', async (_, other) => {
    const [a, b] = (await openChannels(['a', 'b'])) as [Channel, Channel];
    const rows = [rowOf(a, 1), rowOf({ ...b, ...other }, 1)];
    await expect(insertAll(rows)).rejects.toMatchObject({ status: 404 });
    expect(await storedChunks(server, a.dataId)).toHaveLength(2);
    expect(await channelRows(server, a.dataId)).toEqual(await recountedChannels(server, a.dataId));
  });

  test('one id for two channels, one of which is remembered from another database: 404', async () => {
    const [a] = (await openChannels(['a'])) as [Channel];
    const rows = [rowOf(a, 1), rowOf({ ...a, channelName: 'z' }, 2), rowOf(a, 3)];
    await expect(insertAll(rows)).rejects.toMatchObject({ status: 404 });
    expect(await storedChunks(server, a.dataId)).toHaveLength(1);
  });
});

describe('while others write', () => {
  // On a cluster a waiting session is on a node; test/citus/ingest.suite.ts has its like.
  test.skipIf(onCluster)('who has waited for a channel counts on, and has changed it later', async () => {
    const [a, b] = (await openChannels(['a', 'b'])) as [Channel, Channel];
    const first = await ingest().connect();
    await first.query('begin');
    await insert(first, [rowOf(b, 1, [1, 2, 3])]);
    const waits = insertAll([rowOf(a, 1), rowOf(b, 2)]);
    await untilSomebodyWaits();
    await first.query('select pg_sleep(0.01)');
    await first.query('commit');
    first.release();
    expect(await waits).toEqual(
      new Map([
        [a.channelId, 3],
        [b.channelId, 6],
      ]),
    );
    expect(await channelRows(server, a.dataId)).toEqual(await recountedChannels(server, a.dataId));
    const [, moments] = await momentsOf(a.dataId);
    const [, theirs, ours] = moments?.chunks ?? [];
    expect(moments?.channel).toBe(ours);
    expect((ours as string) > (theirs as string)).toBe(true);
  });

  test.skipIf(onCluster)('it inserts nothing before all channels are its own', async () => {
    const [a, b] = (await openChannels(['a', 'b'])) as [Channel, Channel];
    const holder = await ingest().connect();
    await holder.query('begin');
    await holder.query('select from channels where channel_id = $1 for no key update', [b.channelId]);
    // Its error may come before the answer of the other's commit, so it is expected from the start.
    const refused = expect(insertAll([rowOf(a, 1), rowOf(b, 1)])).rejects.toMatchObject({ code: '23505' });
    await untilSomebodyWaits();
    // Its chunk of the first channel would make this one wait.
    await holder.query(`set local lock_timeout = '2s'`);
    await insert(holder, [rowOf(b, 1)]);
    await holder.query('commit');
    holder.release();
    await refused;
    expect((await storedChunks(server, a.dataId)).map(({ chunk_index }) => chunk_index)).toEqual([0, 0, 1]);
  });

  test('channels in opposite orders through two servers, all new: no deadlock, exact counters', async () => {
    const names = Array.from({ length: 12 }, (_, i) => `channel ${i}`);
    const dataId = ((await openChannels(names))[0] as Channel).dataId;
    const before = await deadlocks();
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, i) => {
        const order = i % 2 === 0 ? names : names.toReversed();
        const channels = Object.fromEntries(
          order.map((name) => [name, { timestamps: [1_700_000_000 + i], values: [i] }]),
        );
        const body = { data_id: dataId, chunk_index: i + 1, channels };
        return (i % 4 < 2 ? server : sibling).post('/tool-state/stream/chunk/multi', body);
      }),
    );
    expect(answers.filter(({ status }) => status !== 201).map(({ text }) => text)).toEqual([]);
    expect(await channelRows(server, dataId)).toEqual(await recountedChannels(server, dataId));
    expect(await deadlocks()).toBe(before);
  });

  async function untilSomebodyWaits(): Promise<void> {
    for (let tries = 0; tries < 500; tries++) {
      const { rows } = await server.owner.pool.query('select from pg_locks where not granted');
      if (rows.length > 0) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error('nobody waits');
  }

  async function deadlocks(): Promise<number> {
    const { rows } = await server.owner.pool.query(
      'select pg_stat_clear_snapshot(), deadlocks::float8 from pg_stat_database where datname = current_database()',
    );
    return rows[0].deadlocks;
  }
});

// Its statement is another one on a cluster.
test.skipIf(onCluster).each(['empty', 'small', 'large'])(
  'it goes along the list of channels, whatever is known of a table that is %s',
  async (size) => {
    const dataId = await openStream(server);
    const count = { empty: 0, small: 3, large: 20_000 }[size] as number;
    await server.owner.pool.query('truncate chunks; delete from channels');
    await server.owner.pool.query(
      `insert into channels (organization_id, data_id, channel_name)
     select organization_id, data_id, 'c' || i from streams, generate_series(1, $2::integer) i where data_id = $1`,
      [dataId, count],
    );
    await server.owner.pool.query('analyze channels');
    const [channel] = await openChannels(['a']);
    await inTransaction(ingest(), async (client) => {
      await insert(client, [rowOf(channel as Channel, 1)]);
      const { rows: known } = await client.query(
        `select cardinality(parameter_types) as parameters from pg_prepared_statements where name = 'insert_new_chunks'`,
      );
      const nulls = Array(known[0].parameters).fill('null').join(', ');
      const { rows } = await client.query(`explain (format json) execute insert_new_chunks(${nulls})`);
      const update = planOf(rows[0]['QUERY PLAN'][0].Plan, (node) => node.Operation === 'Update');
      expect(update?.Plans).toMatchObject([
        { 'Node Type': 'Nested Loop', Plans: [{ 'Node Type': 'Function Scan' }, { 'Index Name': 'channels_by_id' }] },
      ]);
    });
  },
);

interface PlanNode {
  [name: string]: unknown;
  Plans?: PlanNode[];
}

function planOf(node: PlanNode, isIt: (node: PlanNode) => boolean): PlanNode | undefined {
  if (isIt(node)) return node;
  for (const part of node.Plans ?? []) {
    const found = planOf(part, isIt);
    if (found !== undefined) return found;
  }
  return undefined;
}
