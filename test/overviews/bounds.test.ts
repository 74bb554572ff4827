import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { overviewLimits } from '../../src/overviews/limits.ts';
import { createOverviews } from '../../src/overviews/overviews.ts';
import { streamLimits } from '../../src/streams/limits.ts';
import { fillChannel, openStream } from '../ledger/support/storing.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { eager, expectAllRight } from './support/racing.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

/* Every bound of the making of overviews, met. */

let server: TestServer;
let dataId: string;
let channelId: number;
beforeAll(async () => {
  server = await startTestServer();
  dataId = await openStream(server, 1);
  channelId = await fillChannel(server, dataId, 'long', 700);
});
afterAll(() => server?.close());

const query = (statement: string) => server.owner.pool.query(statement);
const failures: Error[] = [];
const makerWith = (limits: Partial<typeof overviewLimits>) =>
  createOverviews({
    database: server.database,
    limits: { ...streamLimits, ...overviewLimits, ...eager, ...limits },
    report: (error) => failures.push(error),
  });

const blocks = async () =>
  (await query(`select block from overviews where channel_id = ${channelId} order by block`)).rows.map(
    ({ block }) => block,
  );
const all = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

/** Of a chunk without a time, which no block comes together of here. */
function note(overviews: ReturnType<typeof makerWith>, channel: number, chunkIndex: number): void {
  const none = { timeMin: null, timeMax: null, valueMin: null, valueMax: null, valueMinTime: null, valueMaxTime: null };
  const empty = { pointCount: 0, valueCount: 0, absentCount: 0, valueSum: 0, valueSumRest: 0, valueSquares: 0 };
  const chunk = { ...none, ...empty, contentHash: Buffer.alloc(32) };
  overviews.note({ dataId, channelId: channel, chunkIndex }, chunk, false);
}

describe('of what waits there is never more than waitingMax,', () => {
  test('of blocks and of channels, and the rest is let go', async () => {
    const overviews = makerWith({ waitingMax: 5 });
    const unknown = (i: number) => 1_000_000 + i;
    for (let i = 0; i < 1_000; i++) note(overviews, unknown(i), 64);
    expect(overviews.waitingCount()).toBe(5);
    for (let i = 0; i < 1_000; i++) overviews.complete({ dataId, channelId: unknown(i) });
    expect(overviews.waitingCount()).toBe(5);
    await overviews.idle();
    expect(overviews.waitingCount()).toBe(0);
    await overviews.close();
  });

  test('also where a hundred thousand channels lack theirs; and it ends when it is told to', async () => {
    const overviews = makerWith({});
    for (let i = 0; i < 150_000; i++) overviews.complete({ dataId, channelId: 1_000_000 + i });
    expect(overviews.waitingCount()).toBe(overviewLimits.waitingMax);
    await overviews.close();
    expect(overviews.waitingCount()).toBeGreaterThan(overviewLimits.waitingMax - 1_000);
    note(overviews, channelId, 64);
    await overviews.idle();
  });
});

test.each([64, 65, 100, 640, 1_000])('a channel is looked through %i chunks at a time', async (walkedChunksMax) => {
  await query('delete from overviews');
  const overviews = makerWith({ walkedChunksMax });
  overviews.complete({ dataId, channelId });
  await overviews.idle();
  await overviews.close();
  expect(await blocks()).toEqual(all);
  await expectAllRight(server);
});

test('a channel is not looked through again before walkPauseMs have passed', async () => {
  await query('delete from overviews');
  const overviews = makerWith({ walkPauseMs: 3_600_000 });
  overviews.complete({ dataId, channelId });
  await overviews.idle();
  await query('delete from overviews');
  for (let i = 0; i < 100; i++) overviews.complete({ dataId, channelId });
  expect(overviews.waitingCount()).toBe(0);
  await overviews.idle();
  expect(await blocks()).toEqual([]);
  await overviews.close();
});

test('a block is made lateChunks after its last chunk', async () => {
  const overviews = makerWith({ lateChunks: 20 });
  for (let index = 80; index < 148; index++) note(overviews, channelId, index);
  expect(overviews.waitingCount()).toBe(1);
  note(overviews, channelId, 148);
  expect(overviews.waitingCount()).toBe(2);
  await overviews.idle();
  expect(await blocks()).toEqual([0, 1]);
  await overviews.close();
  expect(failures).toEqual([]);
});
