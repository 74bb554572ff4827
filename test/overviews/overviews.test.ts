import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { repack } from '../../src/repack/repack.ts';
import { verify } from '../../src/verify/verify.ts';
import { fillChannel, openStream, storeChunk } from '../ledger/support/storing.ts';
import { storeAsSent } from '../support/as-sent.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { expectAllRight } from './support/racing.ts';

let server: TestServer;
/** The same database, whose reads do without overviews. */
beforeAll(async () => {
  server = await startTestServer(
    {},
    { overviews: { quietShare: 1, busyShare: 1, walkPauseMs: 0, lateChunks: 1 }, points: { overviewChunksMin: 100 } },
  );
});
afterAll(() => server.close());

/** A channel of chunks of two readings, stored by the server; `chunk` says what differs. */
async function storeRun(dataId: string, channel: string, from: number, to: number): Promise<void> {
  const chunks = Array.from({ length: to - from }, (_, i) => from + i);
  for (let at = 0; at < chunks.length; at += 32) {
    await Promise.all(
      chunks.slice(at, at + 32).map((index) => storeChunk(server, dataId, channel, index, readingsOf(index))),
    );
  }
}

const readingsOf = (index: number) => ({
  timestamps: [1_000 + index, 1_000.5 + index],
  values: [(index * 37) % 101, index % 7 === 0 ? null : (index * 53) % 89],
});

const blocks = async (dataId: string, level = 1) =>
  (
    await server.owner.pool.query<{ block: number }>(
      'select block::integer from overviews where data_id = $1 and "level" = $2 order by 1',
      [dataId, level],
    )
  ).rows.map(({ block }) => block);

const read = async (dataId: string, query: string) => {
  const { status, json } = await server.get(`/metrology/${dataId}/timeseries/?${query}`);
  expect(status).toBe(200);
  return json;
};

describe('an overview', () => {
  test('is made when its last chunk arrives, and not of a block with a hole', async () => {
    const dataId = await openStream(server, 2);
    await storeRun(dataId, 'a', 0, 63);
    await server.app.overviewsIdle();
    expect(await blocks(dataId)).toEqual([]);
    await storeRun(dataId, 'a', 63, 70);
    await server.app.overviewsIdle();
    expect(await blocks(dataId)).toEqual([0]);
    await storeRun(dataId, 'a', 71, 140);
    await server.app.overviewsIdle();
    expect(await blocks(dataId)).toEqual([0]);
  });

  test('is made of what a read has missed, and of late chunks', async () => {
    const dataId = await openStream(server, 2);
    await storeRun(dataId, 'a', 64, 256);
    await server.app.overviewsIdle();
    await server.owner.pool.query('delete from overviews where data_id = $1', [dataId]);
    await storeRun(dataId, 'a', 0, 64);
    const before = await read(dataId, 'max_points=50');
    await server.app.overviewsIdle();
    expect(await blocks(dataId)).toEqual([0, 1, 2, 3]);
    expect(await read(dataId, 'max_points=50')).toEqual(before);
  });

  test.each([
    ['a value', { timestamps: [1_100, 1_100.5], values: [9_999, 1] }],
    ['a time', { timestamps: [0, 1_100.5], values: [1, 2] }],
    ['all readings', { timestamps: [1_100, 1_100.5], values: [null, null] }],
  ])('is forgotten where %s of a chunk is replaced, and is made anew', async (_, readings) => {
    const dataId = await openStream(server, 2);
    await storeRun(dataId, 'a', 0, 256);
    await server.app.overviewsIdle();
    expect(await blocks(dataId)).toHaveLength(4);
    const shownWithout = async () => {
      const shown = await read(dataId, 'max_points=40');
      await server.owner.pool.query('delete from overviews where data_id = $1', [dataId]);
      expect(await read(dataId, 'max_points=40')).toEqual(shown);
      await server.app.overviewsIdle();
      expect(await blocks(dataId)).toHaveLength(4);
      return shown;
    };
    const before = await shownWithout();
    await storeChunk(server, dataId, 'a', 100, readings);
    await server.app.overviewsIdle();
    expect(await blocks(dataId)).toHaveLength(4);
    await expectAllRight(server);
    await shownWithout();
    const revision = { channel_name: 'a', chunk_index: 100, revision: 1 };
    expect((await server.post(`/metrology/stream/${dataId}/chunks/restore`, revision)).status).toBe(200);
    await server.app.overviewsIdle();
    expect(await blocks(dataId)).toHaveLength(4);
    await expectAllRight(server);
    expect(await shownWithout()).toEqual(before);
  });

  test('is made anew with those above it where a chunk is replaced', async () => {
    const dataId = await openStream(server, 1);
    await fillChannel(server, dataId, 'long', 4_100);
    await verify(server.database, () => {}, { repairs: true });
    expect(await blocks(dataId, 2)).toEqual([0]);
    await storeChunk(server, dataId, 'long', 100, { timestamps: [100], values: [7] });
    await server.app.overviewsIdle();
    expect([(await blocks(dataId)).length, await blocks(dataId, 2)]).toEqual([64, [0]]);
    await expectAllRight(server);
  });

  test('stays where the form of its chunks changes, as by repack', async () => {
    const dataId = await openStream(server, 2);
    await storeRun(dataId, 'a', 0, 64);
    await verify(server.database, () => {}, { repairs: true });
    const version = async () =>
      (await server.owner.pool.query('select xmin from overviews where data_id = $1', [dataId])).rows;
    const before = await version();
    expect(before).toHaveLength(1);
    await storeAsSent(server.owner);
    const { packed } = await repack(server.database, { onLeft: () => {} });
    expect(packed).toBeGreaterThan(60);
    expect(await version()).toEqual(before);
    await expectAllRight(server);
  });

  test('goes with its stream', async () => {
    const dataId = await openStream(server, 2);
    await storeRun(dataId, 'a', 0, 130);
    await server.app.overviewsIdle();
    expect(await blocks(dataId)).not.toEqual([]);
    const { status } = await server.send('DELETE', `/data_entries/?data_ids=${dataId}&permanent=true`);
    expect(status).toBe(200);
    expect(await blocks(dataId)).toEqual([]);
  });
});
