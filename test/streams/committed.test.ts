import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { catalogueLimits } from '../../src/catalogue/limits.ts';
import { toChunkImage } from '../../src/streams/chunk-image.ts';
import type { CommittedChunk } from '../../src/streams/committed.ts';
import { createStreamService, type StreamService } from '../../src/streams/service.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { openStream } from './support/chunks.ts';

let server: TestServer;
let streams: StreamService;
let told: CommittedChunk[] = [];
let reported: unknown[] = [];
/** What the tables held when the feed was told. */
let storedWhenTold: Promise<number>[] = [];

beforeAll(async () => {
  server = await startTestServer();
  const none = { inc() {} };
  streams = createStreamService({
    database: server.database,
    metrics: { chunks: none, points: none, chunkWaitSeconds: { observe() {} }, watch() {} } as never,
    graceSeconds: 120,
    memberLimits: catalogueLimits,
    listeners: [
      () => {
        throw new Error('a listener of the test fails');
      },
      (chunks) => {
        told.push(...chunks);
        storedWhenTold.push(countStored());
      },
    ],
    report: (error) => reported.push(error),
  });
});
afterAll(async () => {
  await streams?.close();
  await server?.close();
});
beforeEach(() => {
  told = [];
  reported = [];
  storedWhenTold = [];
});

async function countStored(): Promise<number> {
  const { rows } = await server.owner.pool.query<{ count: number }>('select count(*) from chunks');
  return rows[0]?.count as number;
}

async function send(dataId: string, chunkIndex: number, values: number[]) {
  const { rows } = await server.owner.pool.query<{ organizationId: string; userId: string; keyId: number }>(
    `select organization_id as "organizationId", user_id as "userId", key_id as "keyId"
     from api_keys join users using (organization_id, user_id) where users.name = 'ada'`,
  );
  const identity = { ...(rows[0] as { organizationId: string; userId: string; keyId: number }), scopes: [] };
  const image = toChunkImage({ timestamps: values.map((_, i) => i), values });
  const { outcomes } = await streams.ingest(identity, dataId, chunkIndex, [{ channelName: 't', image }]);
  return outcomes[0];
}

test('new and replaced chunks are told after their commit, a replay is not', async () => {
  const dataId = await openStream(server);
  const before = await countStored();
  expect(await send(dataId, 0, [1])).toBe('created');
  // The second one takes the way of those that are known to be new.
  expect(await send(dataId, 1, [2])).toBe('created');
  expect(await send(dataId, 1, [2])).toBe('unchanged');
  expect(await send(dataId, 0, [3, 4])).toBe('replaced');
  expect(
    told.map(({ item, channelName, outcome, totalPoints }) => [item.chunkIndex, channelName, outcome, totalPoints]),
  ).toEqual([
    [0, 't', 'created', 1],
    [1, 't', 'created', 2],
    [0, 't', 'replaced', 3],
  ]);
  expect(await Promise.all(storedWhenTold)).toEqual([before + 1, before + 2, before + 2]);
});

test('who is told and fails changes no answer; the others are told, and it is reported', async () => {
  const dataId = await openStream(server);
  expect(await send(dataId, 0, [1])).toBe('created');
  await sleep(0);
  expect(told).toHaveLength(1);
  expect(reported.map(String)).toEqual(['Error: a listener of the test fails']);
});

test('what is refused is not told', async () => {
  await expect(send('0b7b8a3e-0000-4000-8000-000000000000', 0, [1])).rejects.toThrow('Stream not found');
  expect(told).toEqual([]);
});
