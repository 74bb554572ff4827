import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { verify } from '../../src/verify/verify.ts';
import { storeAsSent } from '../support/as-sent.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

let server: TestServer;
let dataId: string;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.close());

beforeEach(async () => {
  await server.owner.pool.query('truncate streams cascade; truncate chunks; truncate chunk_revisions');
  dataId = (await server.post('/metrology/stream/initialize', { points_per_chunk: 3 })).json.data_id;
  await send('p', 0, [1, -0, null], 'nm');
  await send('p', 1, [0.1, 5e-324, 3]);
  await send('p', 1, [0.1, 5e-324], 'Å');
  await send('t', 7, [null]);
});

async function send(channel_name: string, chunk_index: number, values: (number | null)[], units?: string) {
  const timestamps = values.map((_, i) => (i === 2 ? null : 1_700_000_000 + chunk_index + i / 10));
  const chunk = { data_id: dataId, chunk_index, channel_name, timestamps, values, ...(units && { units }) };
  expect((await server.post('/metrology/stream/chunk', chunk)).status).toBe(201);
}

const query = (statement: string) => server.owner.pool.query(statement);
/** As a release of before has stored it: single readings can be changed. */
async function tamper(statement: string) {
  await storeAsSent(server.owner);
  return query(statement);
}
async function found() {
  const differences: string[] = [];
  const { chunks, revisions, channels } = await verify(server.database, ({ dataId: id, place, problem }) => {
    expect(id).toBe(dataId);
    differences.push(`${place}: ${problem}`);
  });
  return {
    checked: [chunks.checked, revisions.checked, channels.checked],
    differ: [chunks.differ, revisions.differ, channels.differ],
    differences,
  };
}

test('finds nothing in what the server has stored: zeros of both signs, absent readings, units, replaced contents', async () => {
  expect(await found()).toEqual({ checked: [3, 1, 2], differ: [0, 0, 0], differences: [] });
});

test.each([
  [`"values"[2] = 0`, 'the sign of a zero'],
  [`timestamps[1] = timestamps[1] + 0.0000005`, 'the last bits of a time'],
  [`units = 'mm'`, 'a unit'],
  [`units = null`, 'a unit that is gone'],
  [`content_hash = sha256(content_hash)`, 'a hash'],
])('finds %s', async (change) => {
  await tamper(`update chunks set ${change} where chunk_index = 0`);
  expect(await found()).toMatchObject({
    differ: [1, 0, 0],
    differences: ['channel "p", chunk 0: its hash is not that of its content'],
  });
});

test.each([
  ['time_base = time_base + 1', 'the base'],
  ['time_step = coalesce(time_step, 0) + 1', 'the step'],
  ['time_exponent = time_exponent + 1', 'the scale'],
  ['time_residuals = set_byte(time_residuals, 1, 77)', 'a residual'],
  ['time_residuals = null', 'residuals that are gone'],
  ['time_residuals = substring(time_residuals from 2)', 'residuals that are fewer'],
  [`time_rest = '\\x00'`, 'residuals that are more'],
])('finds of a packed series that %s is another (%s)', async (change) => {
  await query(`update chunks set ${change} where chunk_index = 0`);
  expect((await found()).differences).toEqual(['channel "p", chunk 0: its hash is not that of its content']);
});

test('finds counts of a chunk that are wrong, and with them those of its channel', async () => {
  await tamper('update chunks set null_count = 2 where chunk_index = 0');
  expect((await found()).differences).toEqual([
    'channel "p", chunk 0: its counts are not those of its content',
    'channel "p": it counts 2 chunks, 5 points, 1 absent values; its chunks hold 2, 5, 2',
  ]);
});

test('finds counters, times and offsets that are not those of the chunks', async () => {
  await tamper(`update channels set point_count = 6 where channel_name = 'p'`);
  await tamper(`update channels set time_max = time_max + 1 where channel_name = 't'`);
  expect((await found()).differences).toEqual([
    'channel "p": it counts 2 chunks, 6 points, 1 absent values; its chunks hold 2, 5, 1',
    'channel "t": its times are not those of its chunks',
  ]);
  await tamper(`update channels set point_count = 5 where channel_name = 'p'`);
  await tamper('update chunks set start_offset = 4 where chunk_index = 1');
  expect((await found()).differences[0]).toBe('channel "p": 1 of its chunks are not at their offset');
});

test('finds a chunk whose channel is gone, and a channel whose chunk is', async () => {
  await tamper(`delete from channels where channel_name = 't'`);
  await tamper('delete from chunks where chunk_index = 1');
  const { differences } = await found();
  expect(differences[0]).toMatch(/^channel number \d+, chunk 7: its channel is gone$/);
  expect(differences[1]).toBe('channel "p": it counts 2 chunks, 5 points, 1 absent values; its chunks hold 1, 3, 1');
});

test('leaves out what a stream that is being removed no longer has, and finds what nobody removes', async () => {
  await tamper('update streams set deleted_at = now(), removed_at = now()');
  await tamper(`delete from channels where channel_name = 't'`);
  await tamper('delete from chunks where chunk_index = 1');
  expect(await found()).toMatchObject({ checked: [2, 1, 1], differ: [0, 0, 0] });
  await tamper('delete from streams');
  expect((await found()).differences).toHaveLength(3);
});

test('finds a replaced content that differs', async () => {
  await tamper('update chunk_revisions set "values"[1] = 0.2');
  expect(await found()).toMatchObject({
    differ: [0, 1, 0],
    differences: ['channel "p", chunk 1, replaced content 1: its hash is not that of its content'],
  });
});

test('looks at every page', async () => {
  await tamper(`insert into chunks select (jsonb_populate_record(k, jsonb_build_object('chunk_index', i, 'start_offset', 3 * i))).*
    from chunks k cross join generate_series(100, 2600) i where k.chunk_index = 0`);
  await tamper(
    `insert into channels (organization_id, data_id, channel_name)
     select organization_id, data_id, 'c' || i from streams, generate_series(1, 1200) i`,
  );
  await tamper(`update chunks set units = 'm' where chunk_index in (100, 1500, 2600)`);
  const { checked, differ } = await found();
  expect(checked).toEqual([2_504, 1, 1_202]);
  expect(differ).toEqual([3, 0, 1]);
});
