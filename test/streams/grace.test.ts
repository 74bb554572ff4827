import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { startTcpProxy, type TcpProxy } from '../http/support/tcp-proxy.ts';
import { joinTestServer, startTestServer, type TestServer } from '../support/test-server.ts';
import { chunkBody, openStream, storedChunks } from './support/chunks.ts';
import { joinThrough } from './support/far-server.ts';

// Other work may share the machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

/* A chunk that waits while its stream is finalized: by a lock that somebody holds, or since the database is away. */

const chunkUrl = '/tool-state/stream/chunk';
const send = (server: TestServer, dataId: string, index: number, values = [index]) =>
  server.post(chunkUrl, chunkBody(dataId, index, 't', values));

/** Holds the channels of a stream while a chunk waits for them and finalize is answered. @returns the chunk's answer */
async function finalizeMeanwhile(server: TestServer, through: TestServer, index: number, values: number[]) {
  const dataId = await openStream(server);
  await send(server, dataId, 0);
  const holder = await server.owner.pool.connect();
  await holder.query('begin');
  await holder.query('select from channels where data_id = $1::uuid for update', [dataId]);
  const waiting = send(server, dataId, index, values);
  await sleep(50);
  expect((await through.post(`/tool-state/stream/${dataId}/finalize`)).status).toBe(200);
  await sleep(300);
  await holder.query('rollback');
  holder.release();
  return { dataId, answer: await waiting };
}

describe('without a grace', () => {
  let server: TestServer;
  let sibling: TestServer;
  beforeAll(async () => {
    server = await startTestServer({ FINALIZE_GRACE_SECONDS: 0 });
    sibling = await joinTestServer(server, { FINALIZE_GRACE_SECONDS: 0 });
  });
  afterAll(async () => {
    await sibling.close();
    await server.close();
  });

  test.each([
    ['new and beyond all that were written', 1, [1]],
    ['other content for one that stands', 0, [7]],
  ])('a chunk that is answered after finalize was is 409, whenever it came: %s', async (_what, index, values) => {
    for (const through of [server, sibling]) {
      const { dataId, answer } = await finalizeMeanwhile(server, through, index, values);
      expect(answer.status).toBe(409);
      expect(answer.json.detail).toContain('FINALIZE_GRACE_SECONDS');
      expect(await storedChunks(server, dataId)).toMatchObject([{ values: [0], replaced_count: 0 }]);
    }
  });

  test('chunks that race a finalize are stored before it is answered, or never', async () => {
    for (let round = 0; round < 10; round++) {
      const dataId = await openStream(server);
      await send(server, dataId, 0);
      const chunks = Array.from({ length: 12 }, (_, i) => send(i % 2 ? server : sibling, dataId, i + 1));
      await sleep(round);
      expect((await sibling.post(`/tool-state/stream/${dataId}/finalize`)).status).toBe(200);
      const seen = (await storedChunks(server, dataId)).length;
      const statuses = (await Promise.all(chunks)).map(({ status }) => status);
      expect(statuses.every((status) => status === 201 || status === 409)).toBe(true);
      expect(await storedChunks(server, dataId)).toHaveLength(seen);
      expect(statuses.filter((status) => status === 201)).toHaveLength(seen - 1);
    }
  });
});

describe('with a grace', () => {
  let server: TestServer;
  let far: TestServer;
  let network: TcpProxy;
  beforeAll(async () => {
    server = await startTestServer({ FINALIZE_GRACE_SECONDS: 1 });
    network = await startTcpProxy(server.databaseUrl);
    far = await joinThrough(server, network, { config: { FINALIZE_GRACE_SECONDS: 1 } });
  });
  afterAll(async () => {
    await far.close();
    await network.close();
    await server.close();
  });

  test('a chunk that came before finalize is stored, though it waits for longer than the grace', async () => {
    const { dataId, answer } = await finalizeMeanwhile(server, server, 1, [1]);
    expect(answer.status).toBe(201);
    expect(await storedChunks(server, dataId)).toHaveLength(2);
  });

  test.each([
    ['known to the server', true],
    ['not known to it', false],
  ])(
    'a late chunk within the grace is stored, however long the database was away then; its channel is %s',
    async (_what, isKnown) => {
      const dataId = await openStream(far);
      if (isKnown) await send(far, dataId, 0);
      await server.post(`/tool-state/stream/${dataId}/finalize`);
      await network.close();
      const late = send(far, dataId, 1);
      await sleep(1_500);
      const tooLate = send(far, dataId, 2);
      await network.open();
      expect((await late).status).toBe(201);
      expect((await tooLate).status).toBe(409);
    },
  );
});
