import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openStream, storeChunk } from '../ledger/support/storing.ts';
import { joinTestServer } from '../support/test-server.ts';
import {
  eager,
  expectAllRight,
  expectSameReads,
  openRun,
  pointsPerChunk,
  type Run,
  race,
  randomFrom,
  readingsAt,
  type Servers,
  startServers,
} from './support/racing.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let servers: Servers;
let run: Run;
beforeAll(async () => {
  servers = await startServers();
  run = await openRun(servers, 130, true);
});
afterAll(() => servers?.close());

const query = (statement: string, values: unknown[] = []) => servers.plain.owner.pool.query(statement, values);
const settled = () => Promise.all(servers.makers.map(({ app }) => app.overviewsIdle()));
const blocks = async () =>
  (await query('select block from overviews where data_id = $1 order by channel_id, "level", block', [run.dataId]))
    .rows;
const read = () => servers.makers[0].get(`/metrology/${run.dataId}/timeseries/?max_points=20`);

describe('a chunk that is being replaced', () => {
  test('while a block of it is made: the block waits for the commit, and is not stored', async () => {
    await settled();
    await query('delete from overviews');
    const client = await servers.plain.owner.pool.connect();
    await client.query('begin');
    await client.query('select from channels where data_id = $1 for no key update', [run.dataId]);
    await client.query(`update chunks set content_hash = sha256(content_hash) where data_id = $1 and chunk_index = 5`, [
      run.dataId,
    ]);
    await read();
    await vi.waitFor(
      async () => {
        const { rowCount } = await query(
          `select from pg_stat_activity
           where datname = current_database() and wait_event_type = 'Lock' and query like '%for share%'`,
        );
        expect(rowCount).toBeGreaterThan(0);
      },
      { timeout: 20_000, interval: 5 },
    );
    await client.query('commit');
    client.release();
    await settled();
    await expectAllRight(servers.plain);
    // One channel was being looked through; of the other the first block may have been made after the commit.
    expect((await blocks()).filter(({ block }) => block === 0).length).toBeLessThan(2);
    await query('delete from overviews');
    await read();
    await settled();
    expect((await blocks()).map(({ block }) => block)).toEqual([0, 1, 0, 1]);
    await expectAllRight(servers.plain);
  });

  test('for longer than anybody waits: the block is tried again, behind the others', async () => {
    const server = await joinTestServer(servers.plain, {}, undefined, {
      overviews: { ...eager, overviewLockMsMax: 5, overviewTriesMax: 1_000_000 },
    });
    const impatient = await joinTestServer(servers.plain, {}, undefined, {
      overviews: { ...eager, overviewLockMsMax: 5, overviewTriesMax: 2 },
    });
    const made: Record<string, number[]> = {};
    for (const [name, one] of Object.entries({ server, impatient })) {
      const dataId = await openStream(one, pointsPerChunk);
      const { timestamps, values } = readingsAt(1, randomFrom(1));
      for (let index = 0; index < 64; index++) {
        await storeChunk(servers.plain, dataId, 'a', index, { timestamps, values: values.map(() => index) });
      }
      const client = await servers.plain.owner.pool.connect();
      await client.query('begin');
      // What whoever makes a block waits for, and ingest does not.
      await client.query('lock table overviews in share mode');
      await storeChunk(one, dataId, 'a', 64, { timestamps, values });
      await new Promise((resolve) => setTimeout(resolve, 300));
      if (name === 'impatient') await one.app.overviewsIdle();
      await client.query('rollback');
      client.release();
      await one.app.overviewsIdle();
      const { rows } = await query('select block from overviews where data_id = $1', [dataId]);
      made[name] = rows.map(({ block }) => block);
      await one.close();
    }
    expect(made).toEqual({ server: [0], impatient: [] });
  });

  test('and is rolled back: the blocks stay', async () => {
    await settled();
    const before = await blocks();
    expect(before).toHaveLength(4);
    const client = await servers.plain.owner.pool.connect();
    await client.query('begin');
    await client.query(`update chunks set content_hash = sha256(content_hash) where data_id = $1`, [run.dataId]);
    await client.query('rollback');
    client.release();
    expect(await blocks()).toEqual(before);
    await expectAllRight(servers.plain);
  });

  test('by one content with the same: the blocks stay', async () => {
    const before = await blocks();
    await query('update chunks set changed_at = now(), replaced_count = replaced_count + 1 where data_id = $1', [
      run.dataId,
    ]);
    expect(await blocks()).toEqual(before);
  });
});

test('overviews that are made beside writers are right at every moment, and reads by them are as without (small form)', async () => {
  const random = randomFrom(18);
  const runs = [run, await openRun(servers, 130, false)];
  let checked = 0;
  for (let round = 0; round < 2; round++) {
    await race(servers, runs, 8, random);
    await expectSameReads(servers, runs, random);
    await settled();
    checked += await expectAllRight(servers.plain);
  }
  await expectSameReads(servers, runs, random);
  expect(checked).toBeGreaterThan(4);
});
