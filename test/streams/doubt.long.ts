import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { startTcpProxy, type TcpProxy } from '../http/support/tcp-proxy.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { channelRows, chunkBody, openStream, recountedChannels, storedChunks } from './support/chunks.ts';
import { joinThrough } from './support/far-server.ts';

// Other work may share the machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

/* The answer to a commit is lost on the way. What the server tells its client is what has become of the chunk all the same. */

let near: TestServer;
/** A server whose answers from PostgreSQL a test can swallow. */
let far: TestServer;
let network: TcpProxy;
beforeAll(async () => {
  near = await startTestServer();
  network = await startTcpProxy(near.databaseUrl);
  far = await joinThrough(near, network);
});
afterAll(async () => {
  await far.close();
  await network.close();
  await near.close();
});
afterEach(async () => network.cut());

const chunkUrl = '/tool-state/stream/chunk';
const send = (server: TestServer, dataId: string, index: number, values: number[]) =>
  server.post(chunkUrl, chunkBody(dataId, index, 't', values));

/** Sends a request whose answer from PostgreSQL is lost, once what it does is stored, and does something then. */
async function losing(
  request: () => ReturnType<typeof send>,
  isStored: () => Promise<boolean>,
  then: () => Promise<unknown> = async () => {},
) {
  network.swallowAnswers();
  const answer = request();
  await vi.waitFor(async () => expect(await isStored()).toBe(true), { timeout: 30_000 });
  await network.close();
  await then();
  await network.open();
  return answer;
}

const values = async (dataId: string) => (await storedChunks(near, dataId)).map((chunk) => chunk.values);
const holds = (dataId: string, wanted: number[][]) => async () =>
  JSON.stringify(await values(dataId)) === JSON.stringify(wanted);

async function startedStream(): Promise<string> {
  const dataId = await openStream(far);
  await send(far, dataId, 0, [1]);
  // What is read once after a commit (touchChunks) gives its connection back.
  await sleep(300);
  return dataId;
}

describe('a chunk that was stored', () => {
  test('as new is created, once', async () => {
    const dataId = await startedStream();
    const answer = await losing(() => send(far, dataId, 1, [2, 3]), holds(dataId, [[1], [2, 3]]));
    expect([answer.status, answer.headers['chunk-outcome'], answer.json.total_points]).toEqual([201, 'created', 3]);
    expect(await storedChunks(near, dataId)).toMatchObject([{ replaced_count: 0 }, { replaced_count: 0 }]);
    expect(await channelRows(near, dataId)).toEqual(await recountedChannels(near, dataId));
  });

  test('and has been replaced since by somebody else is answered, and not stored again', async () => {
    const dataId = await startedStream();
    const answer = await losing(
      () => send(far, dataId, 1, [2]),
      holds(dataId, [[1], [2]]),
      async () => expect((await send(near, dataId, 1, [7])).headers['chunk-outcome']).toBe('replaced'),
    );
    expect([answer.status, answer.headers['chunk-outcome']]).toEqual([201, 'created']);
    expect(await values(dataId)).toEqual([[1], [7]]);
  });
});

describe('a chunk that was not stored', () => {
  /** Statements do not arrive either. */
  async function lost(request: () => ReturnType<typeof send>, then: () => Promise<unknown>) {
    network.silence();
    const answer = request();
    await vi.waitFor(() =>
      expect(far.database.pools.ingest.totalCount - far.database.pools.ingest.idleCount).toBeGreaterThan(0),
    );
    await then();
    await network.close();
    await network.open();
    return answer;
  }

  test('is stored once the database is back', async () => {
    const dataId = await startedStream();
    const answer = await lost(
      () => send(far, dataId, 1, [2]),
      async () => {},
    );
    expect([answer.status, answer.headers['chunk-outcome']]).toEqual([201, 'created']);
    expect(await values(dataId)).toEqual([[1], [2]]);
  });

  test('while somebody else has stored other content is 409, and that content stays', async () => {
    const dataId = await startedStream();
    const answer = await lost(
      () => send(far, dataId, 1, [2]),
      () => send(near, dataId, 1, [7]),
    );
    expect(answer.status).toBe(409);
    expect(answer.json.detail).toContain('other content was stored for this chunk of channel "t"');
    expect(await values(dataId)).toEqual([[1], [7]]);
  });

  test('while somebody else has stored the same is answered', async () => {
    const dataId = await startedStream();
    const answer = await lost(
      () => send(far, dataId, 1, [2]),
      () => send(near, dataId, 1, [2]),
    );
    expect(answer.status).toBe(201);
    expect(await storedChunks(near, dataId)).toMatchObject([{}, { replaced_count: 0 }]);
  });

  test('replaces what stood there before it came', async () => {
    const dataId = await startedStream();
    await send(near, dataId, 1, [7]);
    await sleep(300);
    const answer = await lost(
      () => send(far, dataId, 1, [2]),
      async () => {},
    );
    expect([answer.status, answer.headers['chunk-outcome']]).toEqual([201, 'replaced']);
    expect(await values(dataId)).toEqual([[1], [2]]);
  });
});

test('a session that was given up and still commits is waited for, since it holds the channel', async () => {
  const dataId = await startedStream();
  await near.owner.pool.query(`
    create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(1.5); return null; end $$;
    create trigger slow after insert on chunks for each statement execute function slow()`);
  network.swallowAnswers();
  const answer = send(far, dataId, 1, [2]);
  await vi.waitFor(async () => {
    const { rowCount } = await near.owner.pool.query(
      `select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`,
    );
    expect(rowCount).toBe(1);
  }, 30_000);
  network.cut();
  const { status, headers } = await answer;
  await near.owner.pool.query('drop trigger slow on chunks; drop function slow');
  expect([status, headers['chunk-outcome']]).toEqual([201, 'created']);
  expect(await storedChunks(near, dataId)).toMatchObject([{}, { replaced_count: 0 }]);
});

test('initialize makes one stream, also when its session commits only after it was given up; finalize answers its ids', async () => {
  const name = 'made once';
  const made = async () =>
    (await near.owner.pool.query('select data_id, finalized_at from streams where stream_name = $1', [name])).rows;
  await openStream(far);
  await near.owner.pool.query(`
    create function slow_stream() returns trigger language plpgsql as $$ begin perform pg_sleep(1.5); return null; end $$;
    create trigger slow_stream after insert on streams for each statement execute function slow_stream()`);
  const opening = far.post('/tool-state/stream/initialize', { points_per_chunk: 1, stream_name: name });
  await vi.waitFor(async () => {
    const { rowCount } = await near.owner.pool.query(
      `select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`,
    );
    expect(rowCount).toBe(1);
  }, 30_000);
  network.cut();
  const opened = await opening;
  await near.owner.pool.query('drop trigger slow_stream on streams');
  expect(opened.status).toBe(200);
  expect(await made()).toEqual([{ data_id: opened.json.data_id, finalized_at: null }]);
  const finalized = await losing(
    () => far.post(`/tool-state/stream/${opened.json.data_id}/finalize`),
    async () => (await made())[0]?.finalized_at !== null,
  );
  expect([finalized.status, finalized.json]).toEqual([200, opened.json]);
});
