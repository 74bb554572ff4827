import pg from 'pg';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { openAsOwner } from '../../src/database/database.ts';
import { migrate } from '../../src/database/migrate.ts';
import { chunkBody, openStream } from '../streams/support/chunks.ts';
import { administer } from '../support/global-setup.ts';
import { cloneDatabase, startTestServer, type TestServer } from '../support/test-server.ts';
import { openReaders, type Reader } from './support/readers.ts';

let server: TestServer;
let lab: Reader;
let closeReaders: () => Promise<void>;
beforeAll(async () => {
  server = await startTestServer();
  const opened = await openReaders(server, ['lab']);
  lab = opened.readers.lab;
  closeReaders = opened.close;
});
afterAll(async () => {
  await closeReaders?.();
  await server.close();
});

async function make(path: string, body: object): Promise<string> {
  const { status, json, text } = await server.post(path, body);
  expect([path, status < 300], text).toEqual([path, true]);
  return json.id;
}

const runOf = async (dataId: string) => (await lab.query('select * from runs where data_id = $1', [dataId]))[0];

test('a run has its sample, projects, tags, instrument, person, note, state, times and counts', async () => {
  const sample = await make('/physical_samples/', { name: 'Wafer 7' });
  const [own, ofSample] = [
    await make('/projects/', { name: 'Nitrides' }),
    await make('/projects/', { name: 'All wafers' }),
  ];
  const track = { physical_sample_id: sample };
  await server.post(`/projects/${ofSample}/configuration/tracking_samples`, track);
  const tool = { label: 'MBE 2', name: 'GEN10', type: 'mbe' };
  const { json: instrument } = await server.post('/instruments/synthesis', tool);
  const dataId = await openStream(server, {
    stream_name: 'Run 7',
    physical_sample_id: sample,
    project_id: own,
    synth_source_id: instrument.synth_source_id,
  });
  const tag_ids = [await make('/tags/', { name: 'hot' }), await make('/tags/', { name: 'Calibration' })];
  await server.post('/tags/data-items/', { data_ids: [dataId], tag_ids });
  await server.send('PATCH', `/data_entries/${dataId}`, { detail_note_content: 'shutter stuck' });
  for (const [name, timestamps] of [
    ['p', [1_700_000_000, 1_700_000_009]],
    ['t', [1_700_000_001, null]],
  ] as const) {
    const chunk = chunkBody(dataId, 0, name, [1, 2], { timestamps: [...timestamps] });
    expect((await server.post('/tool-state/stream/chunk', chunk)).status).toBe(201);
  }
  const row = await runOf(dataId);
  expect(row).toEqual({
    data_id: dataId,
    stream_name: 'Run 7',
    sample: 'Wafer 7',
    projects: ['Nitrides', 'All wafers'],
    tags: ['Calibration', 'hot'],
    instrument: 'MBE 2',
    user_name: 'ada',
    note: 'shutter stuck',
    state: 'open',
    opened_at: expect.any(Date),
    finalized_at: null,
    last_chunk_at: expect.any(Date),
    first_time: new Date(1_700_000_000_000),
    last_time: new Date(1_700_000_009_000),
    channel_count: '2',
    point_count: '4',
  });
  expect((await server.post(`/tool-state/stream/${dataId}/finalize`)).status).toBe(200);
  expect(await runOf(dataId)).toEqual({ ...row, state: 'finalized', finalized_at: expect.any(Date) });
  const chosen = await lab.query(`select data_id from runs where 'hot' = any (tags) and 'All wafers' = any (projects)`);
  expect(chosen).toEqual([{ data_id: dataId }]);
});

test('a run without anything has empty lists and no times; a deleted one is not there', async () => {
  const dataId = await openStream(server, { stream_name: 'bare' });
  const none = { sample: null, instrument: null, note: null, last_chunk_at: null, first_time: null, last_time: null };
  const empty = { projects: [], tags: [], channel_count: '0', point_count: '0', state: 'open' };
  expect(await runOf(dataId)).toMatchObject({ ...none, ...empty });
  expect((await server.send('DELETE', `/data_entries/?data_ids=${dataId}`)).status).toBeLessThan(300);
  expect(await runOf(dataId)).toBeUndefined();
});

test('what a query does not ask for is not looked up', async () => {
  const tablesOf = async (what: string) => {
    const plan = JSON.stringify(await lab.query(`explain (format json) select ${what} from runs`));
    return [...new Set([...plan.matchAll(/"Relation Name":"(\w+)"/g)].map(([, name]) => name))].sort();
  };
  expect(await tablesOf('stream_name')).toEqual(['sql_readers', 'streams']);
  expect(await tablesOf('tags')).toEqual(['sql_readers', 'stream_tags', 'streams', 'tags']);
  expect(await tablesOf('point_count')).toEqual(['channels', 'sql_readers', 'streams']);
});

test('readers that were there before the view are given it by the migration; one whose role is gone stops nothing', async () => {
  const url = await cloneDatabase();
  const owner = openAsOwner(url, { onIdleError: () => {} });
  onTestFinished(() => owner.close());
  await owner.pool.query(`drop view runs; delete from kysely_migration where name = '0017_runs_in_sql'`);
  await owner.pool.query(`insert into organizations (name) values ('lab')`);
  const role = `Reader of "${process.pid}"`;
  const quoted = pg.escapeIdentifier(role);
  await administer(url, `create role ${quoted}`);
  onTestFinished(() => administer(url, `drop owned by ${quoted}; drop role ${quoted}`));
  await owner.pool.query(
    `insert into sql_readers (role_name, organization_id)
     select reader, organization_id from organizations, unnest(array['gone', $1::text]) as reader`,
    [role],
  );
  expect(await migrate(owner)).toEqual(['0017_runs_in_sql']);
  const { rows } = await owner.pool.query(`select has_table_privilege($1, 'runs', 'select') as may`, [role]);
  expect(rows).toEqual([{ may: true }]);
});
