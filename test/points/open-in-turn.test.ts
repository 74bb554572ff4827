import { afterAll, beforeAll, expect, test } from 'vitest';
import { freely, type Reading } from '../../src/lib/reading.ts';
import { pointLimits } from '../../src/points/limits.ts';
import { type ChannelRow, openInTurn } from '../../src/points/read.ts';
import { byMs } from '../../src/points/selection.ts';
import { joinTestServer, startTestServer, type TestLimits, type TestServer } from '../support/test-server.ts';
import { openStream, storeChunk } from '../timeseries/support/storing.ts';

/* Channels of a down-sampled read are opened one after the other, and the next ones are got ready meanwhile. */

const names = ['a', 'b', 'c', 'd', 'e'];
let server: TestServer;
let dataId: string;
let channels: ChannelRow[];
let organizationId: string;
beforeAll(async () => {
  server = await startTestServer();
  dataId = await openStream(server, 40);
  for (const [i, name] of names.entries()) {
    for (let chunk_index = 0; chunk_index < 4; chunk_index++) {
      const timestamps = Array.from({ length: 40 }, (_, k) => 1_000 + (chunk_index * 40 + k) / 100);
      await storeChunk(server, dataId, name, {
        ...{ chunk_index, timestamps },
        values: timestamps.map((_, k) => ((k * 7 + chunk_index) % 31) * (i + 1)),
      });
    }
  }
  const { rows } = await server.owner.pool.query(
    'select * from channels where data_id = $1::uuid order by channel_name',
    [dataId],
  );
  organizationId = rows[0].organization_id;
  channels = rows.map((row) => ({ ...row, channel_id: Number(row.channel_id) }));
});
afterAll(() => server.close());

/** Reads that are counted, of which some find no room. */
function counted(refuses: { plan?: boolean; large?: boolean } = {}) {
  const held = { bytes: 0, mostBytes: 0, plans: 0, waits: [] as number[] };
  const reading: Reading = {
    ...freely,
    async plan(work) {
      held.waits.push(held.bytes);
      return work();
    },
    async tryPlan(work) {
      held.plans++;
      return work();
    },
    tryEnlarge(wanted) {
      const bytes = Math.max(0, wanted);
      held.bytes += bytes;
      held.mostBytes = Math.max(held.mostBytes, held.bytes);
      let isHeld = true;
      return () => {
        if (isHeld) held.bytes -= bytes;
        isHeld = false;
      };
    },
    ...(refuses.plan && { tryPlan: () => undefined }),
    ...(refuses.large && { tryEnlarge: () => undefined }),
  };
  return { held, reading };
}

const openOf = (reading: Reading, max_points: number | undefined, channelsAheadMax = 2, of = channels) => {
  const organization = server.database.as(organizationId);
  const limits = { ...pointLimits, channelsAheadMax };
  const selection = max_points === undefined ? {} : { max_points };
  return openInTurn({ organization, limits, reading }, of, { selection, zeroMs: 0, collapse: byMs });
};

test('as many as are allowed are got ready while one is read, each in its own room, which is given back', async () => {
  const { held, reading } = counted();
  const inTurn = openOf(reading, 20);
  const first = await inTurn.open(0);
  await expect.poll(() => held.plans).toBe(3);
  expect(held.mostBytes).toBeGreaterThanOrEqual(pointLimits.usualBytesMax);
  // What waits for its turn holds its points and its plan, and no pages.
  await expect.poll(() => held.bytes).toBe(3 * (20 * 16 + 4 * 96));
  first.close();
  const second = await inTurn.open(1);
  expect(held.plans).toBe(4);
  await inTurn.close();
  expect(held).toMatchObject({ bytes: 20 * 16 + 4 * 96, waits: [] });
  second.close();
  expect(held.bytes).toBe(0);
});

test.each([
  ['a plan', { plan: true }],
  ['memory', { large: true }],
])(
  'where there is no room for %s, a channel is opened in its turn, and waits for room while none is held',
  async (_, none) => {
    const { held, reading } = counted(none);
    const inTurn = openOf(reading, 20);
    for (const [i] of channels.entries()) (await inTurn.open(i)).close();
    await inTurn.close();
    expect(held).toMatchObject({ bytes: 0, waits: [0, 0, 0, 0, 0] });
  },
);

test.each([
  ['all points', undefined, undefined],
  ['a single channel', 20, 1],
])('of a read of %s, none is got ready', async (_, pointsMax, count) => {
  const { held, reading } = counted();
  const inTurn = openOf(reading, pointsMax, 2, channels.slice(0, count));
  (await inTurn.open(0)).close();
  await inTurn.close();
  expect(held).toMatchObject({ mostBytes: 0, plans: 0 });
});

test('one that fails ahead fails in its turn', async () => {
  const { held, reading } = counted();
  const inTurn = openOf(
    reading,
    20,
    2,
    channels.map((one, i) => (i === 1 ? { ...one, data_id: organizationId } : one)),
  );
  (await inTurn.open(0)).close();
  await expect(inTurn.open(1)).rejects.toMatchObject({ status: 404 });
  await inTurn.close();
  expect(held.bytes).toBe(0);
});

test.each<[string, TestLimits]>([
  ['none got ready', { points: { channelsAheadMax: 0 } }],
  ['all of them', { points: { channelsAheadMax: 9 } }],
  ['one plan', { http: { readPlansMax: 1 } }],
  ['no memory', { http: { largeReadBytesMax: 1 } }],
])('with %s the answer is the same', async (_, limits) => {
  const other = await joinTestServer(server, {}, undefined, limits);
  try {
    for (const query of ['max_points=50', 'max_points=500', 'max_points=50&start=1000.3&end=1001.2&carry_in=true']) {
      const url = `/tool-state/${dataId}/timeseries/?${query}`;
      const expected = await server.get(url);
      expect(expected.status, expected.text).toBe(200);
      expect((await other.get(url)).text).toBe(expected.text);
    }
  } finally {
    await other.close();
  }
});
