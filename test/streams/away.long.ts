import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { startTcpProxy, type TcpProxy } from '../http/support/tcp-proxy.ts';
import { startTestServer, type TestLimits, type TestServer } from '../support/test-server.ts';
import { channelRows, chunkBody, openStream, recountedChannels, storedChunks } from './support/chunks.ts';
import { joinThrough } from './support/far-server.ts';

// Other work may share the machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

/* Between the server and PostgreSQL stands a network that a test can cut; `near` has a way around it. */

let near: TestServer;
let far: TestServer;
let network: TcpProxy;
beforeAll(async () => {
  near = await startTestServer();
  network = await startTcpProxy(near.databaseUrl);
  far = await join({ streams: { lateAnswerMs: 600, lookMsMax: 300 } });
});
afterAll(async () => {
  await far.close();
  await network.close();
  await near.close();
});
afterEach(async () => {
  if (far.database.outage.ms() !== undefined) await far.database.outage.over();
});

const join = (limits: TestLimits) => joinThrough(near, network, { limits });

const chunkUrl = '/tool-state/stream/chunk';
const send = (server: TestServer, dataId: string, index: number, values = [index]) =>
  server.post(chunkUrl, chunkBody(dataId, index, 't', values));

/** What the network does while the database is away, and when it is back. */
const absences: [string, () => void | Promise<void>, () => void | Promise<void>][] = [
  ['refuses connections', () => network.close(), () => network.open()],
  [
    'is silent',
    () => network.silence(),
    async () => {
      await network.close();
      await network.open();
    },
  ],
];

describe.each(absences)('while PostgreSQL %s', (_what, leave, comeBack) => {
  test('chunks, initialize and finalize wait, and are settled when it is back', async () => {
    const dataId = await openStream(far);
    await send(far, dataId, 0);
    await leave();
    let answered = 0;
    const count = <Answer>(answer: Promise<Answer>) => answer.finally(() => answered++);
    const chunks = [1, 2, 3].map((index) => count(send(far, dataId, index)));
    const fresh = count(send(far, dataId, 0, [9]));
    const opened = count(
      far.post('/tool-state/stream/initialize', { points_per_chunk: 3, stream_name: `of ${dataId}` }),
    );
    const finalized = count(far.post(`/tool-state/stream/${dataId}/finalize`));
    await sleep(1_500);
    expect(answered).toBe(0);
    await comeBack();
    const answers = await Promise.all(chunks);
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201]);
    expect((await fresh).headers['chunk-outcome']).toBe('replaced');
    expect((await opened).status).toBe(200);
    expect((await finalized).status).toBe(200);
    expect(await channelRows(near, dataId)).toEqual(await recountedChannels(near, dataId));
    expect((await storedChunks(near, dataId)).map((chunk) => chunk.chunk_index)).toEqual([0, 1, 2, 3]);
    const { rows } = await near.owner.pool.query('select data_id from streams where stream_name = $1', [
      `of ${dataId}`,
    ]);
    expect(rows).toEqual([{ data_id: (await opened).json.data_id }]);
  });

  test('each is answered 503 with Retry-After when its time is over', async () => {
    const hasty = await join({ streams: { waitMsMax: 1_000, ingestMsMax: 1_300, lateAnswerMs: 600, lookMsMax: 300 } });
    const dataId = await openStream(hasty);
    await send(hasty, dataId, 0);
    await leave();
    const answers = await Promise.all([
      send(hasty, dataId, 1),
      hasty.post('/tool-state/stream/initialize', { points_per_chunk: 3 }),
      hasty.post(`/tool-state/stream/${dataId}/finalize`),
    ]);
    await comeBack();
    expect(answers.map(({ status, headers }) => [status, headers['retry-after']])).toEqual(
      answers.map(() => [503, '1']),
    );
    await hasty.database.outage.over();
    expect((await send(hasty, dataId, 1)).status).toBe(201);
    await hasty.close();
  });

  test('a server that stops answers what waits at once', async () => {
    const stopping = await join({ streams: { lateAnswerMs: 300, lookMsMax: 200 } });
    const dataId = await openStream(stopping);
    await send(stopping, dataId, 0);
    await leave();
    const waiting = [send(stopping, dataId, 1), stopping.post(`/tool-state/stream/${dataId}/finalize`)];
    await sleep(1_500);
    const startedAt = performance.now();
    const closing = stopping.app.close();
    const answers = await Promise.all(waiting);
    expect(answers.map(({ status }) => status)).toEqual([503, 503]);
    expect(performance.now() - startedAt).toBeLessThan(2_000);
    await comeBack();
    await closing;
    await stopping.close();
  });
});

test('a database that has become read-only is away until it takes writes again', async () => {
  const dataId = await openStream(far);
  await send(far, dataId, 0);
  const { rows } = await near.owner.pool.query('select current_database() as name');
  const set = (value: string) =>
    near.owner.pool.query(`alter database ${rows[0].name} set default_transaction_read_only = ${value}`);
  await set('on');
  network.cut();
  let isAnswered = false;
  const waiting = Promise.all([send(far, dataId, 1), far.post(`/tool-state/stream/${dataId}/finalize`)]).finally(() => {
    isAnswered = true;
  });
  await sleep(800);
  expect(isAnswered).toBe(false);
  expect(far.database.outage.ms()).toBeGreaterThan(0);
  expect(far.database.outage.isUnreachable()).toBe(false);
  await near.owner.pool.query('set default_transaction_read_only = off');
  const owner = await near.owner.pool.connect();
  await owner.query('set default_transaction_read_only = off');
  await owner.query(`alter database ${rows[0].name} reset default_transaction_read_only`);
  owner.release();
  expect((await waiting).map(({ status }) => status)).toEqual([201, 200]);
});

test('a statement that takes long is waited for while PostgreSQL is at work on it', async () => {
  const dataId = await openStream(far);
  await send(far, dataId, 0);
  await near.owner.pool.query(`
    create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(2.5); return null; end $$;
    create trigger slow after insert on chunks for each statement execute function slow()`);
  const { status, headers } = await send(far, dataId, 1);
  await near.owner.pool.query('drop trigger slow on chunks');
  expect([status, headers['chunk-outcome']]).toEqual([201, 'created']);
  expect(far.database.outage.ms()).toBeUndefined();
});
