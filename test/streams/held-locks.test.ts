import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { onCluster } from '../support/on-cluster.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { channelRows, chunkBody, openStream, recountedChannels } from './support/chunks.ts';

// Other work may share the machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

/* What somebody else holds in the database keeps only those waiting who need it. */

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const chunkUrl = '/tool-state/stream/chunk';
const write = (dataId: string, index: number, channel: string, values: number[] = [index]) =>
  server.post(chunkUrl, chunkBody(dataId, index, channel, values));

/** Runs statements in a transaction that stays open until the work is done. */
async function holding<Result>(
  statements: [string, unknown[]?][],
  work: (client: pg.PoolClient) => Promise<Result>,
): Promise<Result> {
  const client = await server.owner.pool.connect();
  try {
    await client.query('begin');
    for (const [text, values] of statements) await client.query(text, values);
    return await work(client);
  } finally {
    await client.query('rollback');
    client.release();
  }
}

const channels = Array.from({ length: 46 }, (_, i) => `c${i}`);

/** A stream that has a chunk 0 in each of its channels, `held` among them. */
async function startedStream(): Promise<string> {
  const dataId = await openStream(server);
  await Promise.all(['held', ...channels].map((name) => write(dataId, 0, name)));
  return dataId;
}

/** Sends chunk 1 of all channels; those of others must be stored while one is held, and that one once it is free. */
async function expectOneToWait(
  dataId: string,
  release: () => Promise<void>,
  held: () => Promise<{ status: number }> = () => write(dataId, 1, 'held'),
): Promise<void> {
  let isAnswered = false;
  const waiting = held().finally(() => {
    isAnswered = true;
  });
  const answers = await Promise.all(channels.map((name) => write(dataId, 1, name)));
  expect(answers.map(({ status }) => status)).toEqual(channels.map(() => 201));
  // They go on coming.
  expect((await write(dataId, 2, channels[0] as string)).status).toBe(201);
  expect(isAnswered).toBe(false);
  await release();
  expect((await waiting).status).toBe(201);
  expect(await channelRows(server, dataId)).toEqual(await recountedChannels(server, dataId));
}

const rowOfChannel = `select from channels where data_id = $1::uuid and channel_name = 'held'`;

describe('keeps nobody else of the same stream waiting:', () => {
  test.each([
    ['the row of a channel', `${rowOfChannel} for update`],
    [
      'the row of a channel, by an update',
      `update channels set units = units where data_id = $1::uuid and channel_name = 'held'`,
    ],
    ['a chunk that a session is inserting', insertionOfChunk()],
  ])('%s', async (_what, statement) => {
    const dataId = await startedStream();
    await holding([[statement, [dataId]]], (client) =>
      expectOneToWait(dataId, async () => void (await client.query('rollback'))),
    );
  });

  test('the row of a chunk that is to be replaced', async () => {
    const dataId = await startedStream();
    await holding(
      [
        [
          `select from chunks k where data_id = $1::uuid and channel_id = (select channel_id from channels
                     where data_id = $1::uuid and channel_name = 'held') for update`,
          [dataId],
        ],
      ],
      (client) =>
        expectOneToWait(
          dataId,
          async () => void (await client.query('rollback')),
          () => write(dataId, 0, 'held', [77]),
        ),
    );
  });

  test('a channel that a session is making', async () => {
    const dataId = await startedStream();
    const statement = `insert into channels (organization_id, data_id, channel_name)
                       select organization_id, data_id, 'being made' from streams where data_id = $1::uuid`;
    await holding([[statement, [dataId]]], (client) =>
      expectOneToWait(
        dataId,
        async () => void (await client.query('rollback')),
        () => write(dataId, 1, 'being made'),
      ),
    );
  });
});

function insertionOfChunk(): string {
  return `insert into chunks (data_id, channel_id, chunk_index, start_offset, key_id, point_count, null_count, ascending,
                              content_hash, timestamps, "values", organization_id)
          select data_id, channel_id, 1, 3, 1, 1, 0, true, sha256('x'), '{1}', '{1}', organization_id
          from channels where data_id = $1::uuid and channel_name = 'held'`;
}

test('a key-share lock on a channel keeps nobody waiting', async () => {
  const dataId = await startedStream();
  await holding([[`${rowOfChannel} for key share`, [dataId]]], async () => {
    expect((await write(dataId, 1, 'held')).status).toBe(201);
  });
});

test('a locked stream keeps only its new channels waiting', async () => {
  const [dataId, other] = [await startedStream(), await startedStream()];
  await holding([['select from streams where data_id = $1::uuid for update', [dataId]]], async (client) => {
    const waiting = write(dataId, 0, 'new');
    expect((await write(dataId, 1, 'c1')).status).toBe(201);
    expect((await write(other, 0, 'new')).status).toBe(201);
    await client.query('rollback');
    expect((await waiting).status).toBe(201);
  });
});

test.each(['channels', 'chunks', 'streams'])(
  'a lock on the table %s lets all wait, and then all are stored',
  async (table) => {
    const dataId = await startedStream();
    await holding([[`lock table ${table} in access exclusive mode`]], async (client) => {
      const waiting = Promise.all(channels.map((name) => write(dataId, 1, name)));
      await new Promise((resolve) => setTimeout(resolve, 700));
      await client.query('rollback');
      expect((await waiting).map(({ status }) => status)).toEqual(channels.map(() => 201));
    });
  },
);

test('a channel that is held for longer than a request may wait: it alone is 503, with Retry-After', async () => {
  const short = await startTestServer({}, { streams: { waitMsMax: 1_500, ingestMsMax: 2_000 } });
  const dataId = await openStream(short);
  const send = (index: number, name: string) => short.post(chunkUrl, chunkBody(dataId, index, name, [1]));
  await send(0, 'held');
  await send(0, 'free');
  const holder = await short.owner.pool.connect();
  await holder.query('begin');
  await holder.query(`${rowOfChannel} for update`, [dataId]);
  const refused = send(1, 'held');
  expect((await send(1, 'free')).status).toBe(201);
  const { status, headers, json } = await refused;
  expect([status, headers['retry-after']]).toEqual([503, '1']);
  expect(json.detail).toContain('nothing of this request was stored');
  await holder.query('rollback');
  holder.release();
  expect((await send(1, 'held')).headers['chunk-outcome']).toBe('created');
  await short.close();
});

// It needs a trigger, and a cluster has none.
test.skipIf(onCluster)('transactions that PostgreSQL breaks off for another one are tried again', async () => {
  const dataId = await startedStream();
  // Fails the first two times that a chunk is inserted, as a deadlock does.
  await server.owner.pool.query(`
    create sequence breaks;
    create function break_off() returns trigger language plpgsql security definer as
      $$ begin
        if nextval('breaks') < 3 then raise exception 'broken off' using errcode = case when lastval() = 1 then '40P01' else '40001' end; end if;
        return null;
      end $$;
    create trigger break_off after insert on chunks for each statement execute function break_off()`);
  expect((await write(dataId, 1, 'held')).status).toBe(201);
  await server.owner.pool.query('drop trigger break_off on chunks');
});
