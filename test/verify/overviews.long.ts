import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createPacker } from '../../src/database/series-packer.ts';
import { decodeSummaries, encodeSummaries } from '../../src/points/overview.ts';
import { verify } from '../../src/verify/verify.ts';
import { fillChannel, openStream, storeChunk } from '../ledger/support/storing.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

/* Two levels of overviews: 64 chunks make a block of level 1, 64 of those one of level 2. */

let server: TestServer;
let dataId: string;
let channelId: number;
beforeAll(async () => {
  server = await startTestServer();
  dataId = await openStream(server, 1);
  channelId = await fillChannel(server, dataId, 'long', 4_200);
});
afterAll(() => server?.close());

const query = (statement: string, values: unknown[] = []) => server.owner.pool.query(statement, values);
/** Changes rows behind the back of triggers and references. */
async function tamper(statement: string, values: unknown[] = []) {
  const client = await server.owner.pool.connect();
  try {
    await client.query('begin; set local session_replication_role = replica');
    const { rowCount } = await client.query(statement, values);
    await client.query('commit');
    expect(rowCount, statement).toBe(1);
  } finally {
    client.release();
  }
}

/** What is said of overviews; the chunks here were not hashed as a server does it. */
async function found(repairs = false) {
  const differences: string[] = [];
  const { overviews, repaired } = await verify(
    server.database,
    ({ place, problem }) => {
      if (place.includes('overview'))
        differences.push(`${place.replace('channel "long", overview of ', '')}: ${problem}`);
    },
    { repairs },
  );
  return { overviews, differences, ...(repaired && { repaired }) };
}

const stored = async () =>
  (await query('select "level", block, children, contents_hash, value_count, value_sum from overviews order by 1, 2'))
    .rows;

const whole = { overviews: { checked: 66, differ: 0 }, differences: [] };

beforeEach(async () => {
  await found(true);
});

test('overviews are made that are missing, of each channel that is long enough, and then nothing differs', async () => {
  await query('delete from overviews');
  expect(await found(true)).toEqual({
    overviews: { checked: 0, differ: 0 },
    differences: [],
    repaired: { made: 66, left: 0, heldChannels: 0 },
  });
  expect(await found()).toEqual(whole);
  expect(await found(true)).toEqual({ ...whole, repaired: { made: 0, left: 0, heldChannels: 0 } });
});

test('what a server has stored and made does not differ: readings that are absent, times that are, units', async () => {
  const other = await openStream(server, 3);
  for (let index = 0; index < 64; index++) {
    const timestamps = [index, index % 5 === 0 ? null : index + 0.1, index + 1 / 3];
    await storeChunk(server, other, 'p', index, {
      timestamps,
      values: [index / 7, -0, index % 3 ? null : 1e300],
      units: 'nm',
    });
  }
  await server.app.overviewsIdle();
  // As it came together while the chunks were stored, and then as it is read back.
  expect(await found(true)).toMatchObject({ overviews: { checked: 67, differ: 0 }, repaired: { made: 0 } });
  await query('delete from overviews where data_id = $1', [other]);
  expect(await found(true)).toMatchObject({ differences: [], repaired: { made: 1 } });
  expect(await found()).toMatchObject({ overviews: { checked: 67, differ: 0 } });
  await server.send('DELETE', `/data_entries/?data_ids=${other}&permanent=true`);
});

/** The summaries of a block with one number changed. */
async function changedChildren(level: number, block: number): Promise<Buffer> {
  const { rows } = await query('select children from overviews where "level" = $1 and block = $2', [level, block]);
  const summaries = decodeSummaries(rows[0].children, level);
  summaries.timeMax[17] = (summaries.timeMax[17] as number) + 2 ** -20;
  return encodeSummaries(summaries, level, createPacker());
}

const ofChunks = 'chunks 192 to 255';
const ofBlocks = 'chunks 0 to 4095';
const notThose = (what: string, below: string) =>
  `its ${what} not ${what.endsWith('is') ? 'that' : 'those'} of ${below}`;
const ofParent = (what: string) => `${ofBlocks}: ${notThose(what, 'the overviews below it')}`;

describe('is found, and made anew:', () => {
  const child = '"level" = 1 and block = 3';
  test.each([
    ['a sum', `value_sum = value_sum + 1`, 'statistics are'],
    ['what a sum lacks', `value_sum_rest = -0.0::float8`, 'statistics are'],
    ['squares', `value_squares = value_squares + 1e-300`, 'statistics are'],
    ['a count', `value_count = value_count - 1, absent_count = absent_count + 1`, 'statistics are'],
    ['a hash', `contents_hash = sha256(contents_hash)`, 'hash is'],
    ['children that are cut', `children = substring(children for octet_length(children) - 1)`, 'summaries are'],
    ['children that are more', `children = children || '\\x00'`, 'summaries are'],
    ['children that are gone', `children = ''`, 'summaries are'],
    [
      'children of another',
      `children = (select children from overviews where "level" = 1 and block = 4)`,
      'summaries are',
    ],
  ])('%s of a block', async (_, change, what) => {
    const before = await stored();
    await tamper(`update overviews set ${change} where ${child}`);
    const { differences, overviews } = await found();
    expect(differences[0]).toBe(`${ofChunks}: ${notThose(what, 'its chunks')}`);
    expect(overviews).toEqual({ checked: 66, differ: differences.length });
    const repaired = await found(true);
    expect(repaired).toMatchObject({ repaired: { made: 1, left: 0 } });
    expect(await found()).toEqual(whole);
    expect(await stored()).toEqual(before);
  });

  test('the last bits of one number of its summaries', async () => {
    await tamper(`update overviews set children = $1 where ${child}`, [await changedChildren(1, 3)]);
    const differences = [`${ofChunks}: its summaries are not those of its chunks`];
    expect(await found()).toMatchObject({ differences });
    expect(await found(true)).toMatchObject({ differences, repaired: { made: 1 } });
    expect(await found()).toEqual(whole);
  });

  test('a parent that does not fit its children', async () => {
    await tamper(`update overviews set children = $1 where "level" = 2`, [await changedChildren(2, 0)]);
    expect(await found(true)).toMatchObject({ differences: [ofParent('summaries are')], repaired: { made: 1 } });
    expect(await found()).toEqual(whole);
  });

  test('a parent of which a child is gone', async () => {
    await tamper(`delete from overviews where ${child}`);
    const differences = [`${ofBlocks}: the overviews below it are not all there`];
    expect(await found()).toEqual({ overviews: { checked: 65, differ: 1 }, differences });
    expect(await found(true)).toMatchObject({ differences, repaired: { made: 2 } });
    expect(await found()).toEqual(whole);
  });

  test('the hash of a chunk that was changed behind it', async () => {
    await tamper('update chunks set content_hash = sha256(content_hash) where chunk_index = 200');
    expect((await found()).differences).toEqual([`${ofChunks}: its hash is not that of its chunks`]);
    expect(await found(true)).toMatchObject({ repaired: { made: 2 } });
    expect(await found()).toEqual(whole);
  });

  test('a summary of a chunk that was changed behind it', async () => {
    await tamper('update chunks set value_max = 7, value_max_time = 200 where chunk_index = 200');
    expect((await found()).differences).toEqual([`${ofChunks}: its summaries are not those of its chunks`]);
    await found(true);
    expect(await found()).toEqual(whole);
    await query('update chunks set value_max = null, value_max_time = null where chunk_index = 200');
  });

  test('a level that no chunks can have', async () => {
    await tamper(
      `insert into overviews select (jsonb_populate_record(o, '{"level": 7}')).* from overviews o where ${child}`,
    );
    expect((await found(true)).differences).toHaveLength(1);
    expect(await found()).toEqual(whole);
    await expect(query(`update overviews set "level" = 9 where ${child}`)).rejects.toThrow('check constraint');
    await expect(query(`update overviews set block = 1::bigint << 47 where ${child}`)).rejects.toThrow(
      'check constraint',
    );
  });
});

test('a block whose chunk was deleted by hand is removed, with those above it, and reads answer as before', async () => {
  const window = `/metrology/${dataId}/timeseries/?max_points=100`;
  await tamper('update chunks set chunk_index = 100000 where chunk_index = 200');
  const differences = [`${ofChunks}: its chunks are not all there`];
  expect((await found()).differences).toEqual(differences);
  const { repaired } = await found(true);
  expect(repaired).toEqual({ made: 0, left: 0, heldChannels: 0 });
  expect(await found()).toEqual({ overviews: { checked: 64, differ: 0 }, differences: [] });
  expect((await server.get(window)).status).toBe(200);
  await tamper('update chunks set chunk_index = 200 where chunk_index = 100000');
  expect(await found(true)).toMatchObject({ repaired: { made: 2 } });
  expect(await found()).toEqual(whole);
});

test('blocks of a stream that is being removed are left alone', async () => {
  await query('update streams set deleted_at = now(), removed_at = now() where data_id = $1', [dataId]);
  await tamper(`update overviews set value_sum = 1 where "level" = 1 and block = 3`);
  await query('delete from overviews where "level" = 1 and block = 4');
  expect(await found(true)).toEqual({
    overviews: { checked: 65, differ: 0 },
    differences: [],
    repaired: { made: 0, left: 0, heldChannels: 0 },
  });
  await query('update streams set deleted_at = null, removed_at = null where data_id = $1', [dataId]);
});

test('a channel that somebody holds is said to be held, and the others are made', async () => {
  const other = await openStream(server, 1);
  await fillChannel(server, other, 'other', 130);
  await query('delete from overviews where data_id = $1', [dataId]);
  const client = await server.owner.pool.connect();
  await client.query('begin');
  await client.query('select from channels where channel_id = $1 for no key update', [channelId]);
  const { repaired } = await verify(server.database, () => {}, { repairs: true, lockMsMax: 20 });
  await client.query('rollback');
  client.release();
  expect(repaired).toEqual({ made: 2, left: 0, heldChannels: 1 });
  await server.send('DELETE', `/data_entries/?data_ids=${other}&permanent=true`);
  await found(true);
  expect(await found()).toEqual(whole);
});

test('looks at every page', async () => {
  const differing: string[] = [];
  await tamper('update overviews set value_sum = 5 where "level" = 1 and block = 64');
  const { overviews } = await verify(server.database, ({ place }) => differing.push(place), { pageOverviewsMax: 7 });
  expect(overviews).toEqual({ checked: 66, differ: 1 });
  expect(differing.at(-1)).toContain('overview of chunks 4096 to 4159');
});
