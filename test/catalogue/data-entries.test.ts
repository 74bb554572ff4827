import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/test-server.ts';

// biome-ignore lint/suspicious/noExplicitAny: tests look into rows of every shape.
type Row = any;

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

interface Wanted {
  key?: string;
  sample?: string;
  tags?: string[];
  /** Unix seconds of one channel. */
  times?: (number | null)[];
  finalize?: boolean;
  body?: object;
}

let count = 0;
async function createStream({ key, sample, tags = [], times, finalize, body }: Wanted = {}): Promise<string> {
  const initialize = { stream_name: `run ${++count}`, points_per_chunk: 10, ...body };
  const opened = await server.post('/tool-state/stream/initialize', initialize, key);
  expect(opened.status, opened.text).toBe(200);
  const { data_id } = opened.json;
  if (times !== undefined) await store(data_id, 'c', times, key);
  if (sample !== undefined) expect((await link([data_id], sample, key)).status).toBe(200);
  for (const name of tags) {
    const tag = await server.post('/tags/', { name }, key);
    await server.post('/tags/data-items/', { data_ids: [data_id], tag_ids: [tag.json.id] }, key);
  }
  if (finalize) await server.post(`/tool-state/stream/${data_id}/finalize`, undefined, key);
  return data_id;
}

async function store(data_id: string, channel_name: string, timestamps: (number | null)[], key?: string) {
  const chunk = { data_id, channel_name, chunk_index: 0, timestamps, values: timestamps };
  const answer = await server.post('/tool-state/stream/chunk', chunk, key);
  expect(answer.status, answer.text).toBe(201);
}

const createSample = async (name: string, extras: object = {}, key?: string) =>
  (await server.post('/physical_samples/', { name, ...extras }, key)).json.id as string;
const createProject = async (name: string, key?: string) =>
  (await server.post('/projects/', { name }, key)).json.id as string;
const track = (project: string, sample: string) =>
  server.post(`/projects/${project}/configuration/tracking_samples`, { physical_sample_id: sample });
const link = (data_ids: unknown, physical_sample_id: unknown, key?: string) =>
  server.post('/data_entries/physical_sample', { data_ids, physical_sample_id }, key);

type Query = Record<string, string | string[]>;
/** Writes a query the way the SDK's HTTP client does. */
function encode(query: Query): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) for (const one of [value].flat()) parameters.append(name, one);
  return parameters.toString();
}
async function search(query: Query = {}, key?: string): Promise<Row[]> {
  const answer = await server.get(`/data_entries/?${encode(query)}`, key);
  expect(answer.status, answer.text).toBe(200);
  return answer.json;
}
const found = async (query: Query, key?: string) => (await search(query, key)).map((row) => row.data_id as string);
const entry = async (dataId: string, key?: string) => (await search({ data_ids: dataId }, key))[0];
const inDatabase = (text: string, values: unknown[]) => server.owner.pool.query(text, values);

const columns = [
  ...['data_id', 'raw_name', 'char_source_type', 'pipeline_status', 'raw_file_type', 'processed_file_type'],
  ...['bucket_file_name', 'synth_source_id', 'source_name', 'sample_id', 'sample_name', 'physical_sample_id'],
  ...['physical_sample_name', 'projects', 'growth_length', 'upload_datetime', 'last_updated', 'workspaces'],
  ...['last_accessed_datetime', 'collected_datetime', 'detail_note_content', 'detail_note_last_updated'],
  ...['file_metadata', 'tags', 'user_id', 'name', 'sha3_256', 'has_instrument_logs'],
].sort();
const isoTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$/;

describe('a row', () => {
  test('has every key on an empty stream, with null for what is not known', async () => {
    const row = await entry(await createStream({ body: { stream_name: 'empty' } }));
    expect(Object.keys(row).sort()).toEqual(columns);
    expect(row).toMatchObject({
      raw_name: 'empty',
      char_source_type: 'metrology',
      pipeline_status: 'stream_active',
      raw_file_type: 'stream',
      synth_source_id: null,
      source_name: null,
      physical_sample_id: null,
      physical_sample_name: null,
      projects: [],
      growth_length: null,
      collected_datetime: null,
      upload_datetime: expect.stringMatching(isoTime),
      last_updated: expect.stringMatching(isoTime),
      tags: [],
      workspaces: [],
      name: 'ada',
      sha3_256: null,
      has_instrument_logs: false,
    });
    expect(row.file_metadata).toEqual({
      points_per_chunk: 10,
      instrument_type: null,
      processed_data_id: expect.any(String),
      finalized_at: null,
      channel_count: 0,
      chunk_count: 0,
      point_count: 0,
    });
  });

  test('shows everything that is linked and measured', async () => {
    const instrument = await server.post('/instruments/synthesis', { label: 'Main MBE', name: 'V', type: 'mbe' });
    const sample = await createSample('wafer full', { sample_id: 77 });
    const own = await createProject('Z own');
    await track(await createProject('B of the sample'), sample);
    await track(await createProject('a of the sample'), sample);
    await track(own, sample);
    const id = await createStream({
      sample,
      tags: ['zeta', 'Alpha'],
      times: [1_700_000_000.25, null, 1_700_000_010],
      finalize: true,
      body: { project_id: own, synth_source_id: instrument.json.synth_source_id, instrument_type: 'mbe' },
    });
    await store(id, 'later', [1_700_000_002, 1_700_000_030.5]);
    const row = await entry(id);
    expect(Object.keys(row).sort()).toEqual(columns);
    expect(row).toMatchObject({
      pipeline_status: 'success',
      synth_source_id: instrument.json.synth_source_id,
      source_name: 'Main MBE',
      sample_id: 77,
      sample_name: 'wafer full',
      physical_sample_id: sample,
      physical_sample_name: 'wafer full',
      growth_length: 30.25,
      collected_datetime: '2023-11-14T22:13:20.25Z',
      tags: ['Alpha', 'zeta'],
    });
    expect(row.projects.map((project: Row) => project.name)).toEqual(['Z own', 'a of the sample', 'B of the sample']);
    expect(row.projects[0].id).toBe(own);
    expect(row.file_metadata).toMatchObject({
      instrument_type: 'mbe',
      channel_count: 2,
      chunk_count: 2,
      point_count: 5,
    });
    expect(row.file_metadata.finalized_at).toMatch(isoTime);
  });

  test('says its own type, whatever type the search names', async () => {
    const id = await createStream();
    const types = async (query: Query) => (await search({ data_ids: id, ...query })).map((row) => row.char_source_type);
    expect(await types({})).toEqual(['metrology']);
    expect(await types({ data_type: 'metrology' })).toEqual(['metrology']);
    expect(await types({ data_type: 'tool_state' })).toEqual(['metrology']);
    await server.send('PATCH', `/data_entries/${id}`, { char_source_type: 'tool_state' });
    for (const query of [{}, { data_type: 'metrology' }, { data_type: 'tool_state' }])
      expect(await types(query)).toEqual(['tool_state']);
  });

  test.each([
    ['of relative time', [0, 12.5], '1970-01-01T00:00:00Z', 12.5],
    ['of one point', [1_700_000_000.123456], '2023-11-14T22:13:20.123456Z', 0],
    ['of the first moment of year 1', [-62_135_596_800], '0001-01-01T00:00:00Z', 0],
    ['before year 1', [-62_135_596_801], null, 0],
    ['at the end of year 9999', [253_402_300_799], '9999-12-31T23:59:59Z', 0],
    ['after year 9999', [253_402_300_800], null, 0],
    ['at the very bounds of time', [-8.64e12, 8.64e12], null, 1.728e13],
    ['beyond them', [-1e308, 1e308], null, null],
    ['of no time at all', [null], null, null],
  ])('survives a stream %s', async (_what, times, collected, length) => {
    const row = await entry(await createStream({ times }));
    expect([row.collected_datetime, row.growth_length]).toEqual([collected, length]);
  });

  test('was last updated when its stream or any of its channels was', async () => {
    const id = await createStream({ times: [1, 2] });
    await store(id, 'other', [1]);
    await inDatabase(`update streams set changed_at = '2031-01-01T00:00:00Z' where data_id = $1`, [id]);
    expect((await entry(id)).last_updated).toBe('2031-01-01T00:00:00Z');
    const statement = `update channels set changed_at = '2032-01-01T00:00:00.000001Z' where data_id = $1 and channel_name = 'c'`;
    await inDatabase(statement, [id]);
    const row = await entry(id);
    expect([row.last_updated, row.last_accessed_datetime]).toEqual(Array(2).fill('2032-01-01T00:00:00.000001Z'));
  });
});

describe('the list', () => {
  test('is newest first and has the same keys in every row', async () => {
    const ids = [await createStream({ times: [1] }), await createStream(), await createStream({ finalize: true })];
    const rows = await search();
    expect(rows.slice(0, 3).map((row) => row.data_id)).toEqual(ids.toReversed());
    for (const row of rows) expect(Object.keys(row).sort()).toEqual(columns);
    const answer = await server.get('//data_entries?status=all');
    expect(answer.json).toEqual(rows);
  });

  test("has the organization's entries, and only one's own on request", async () => {
    const mine = await createStream();
    const hers = await createStream({ key: server.keys.grace });
    expect((await found({ include_organization_data: 'True' })).slice(0, 2)).toEqual([hers, mine]);
    expect((await found({})).slice(0, 2)).toEqual([hers, mine]);
    expect((await found({ include_organization_data: 'False' }))[0]).toBe(mine);
    expect(await found({ include_organization_data: 'False' })).not.toContain(hers);
    expect(await found({ include_organization_data: 'False' }, server.keys.grace)).toEqual([hers]);
  });

  test('never has anything of another organization, whatever the filter', async () => {
    const { rival } = server.keys;
    const sample = await createSample('foreign sample', {}, rival);
    const project = await createProject('foreign project', rival);
    const id = await createStream({ key: rival, sample, tags: ['foreign tag'], body: { project_id: project } });
    const filters: Query[] = [
      { data_ids: id },
      { physical_sample_ids: sample },
      { project_ids: project },
      { keywords: 'foreign' },
    ];
    for (const filter of filters) {
      expect(await found(filter, rival)).toEqual([id]);
      expect(await found(filter)).toEqual([]);
    }
    expect(await found({})).not.toContain(id);
    expect(await found({}, rival)).toEqual([id]);
  });

  test('shows nothing of another organization through a link that should not be', async () => {
    const { rival } = server.keys;
    const id = await createStream();
    const sample = await createSample('smuggled sample', {}, rival);
    const project = await createProject('smuggled project', rival);
    const tag = (await server.post('/tags/', { name: 'smuggled tag' }, rival)).json.id;
    const update = 'update streams set physical_sample_id = $2, project_id = $3 where data_id = $1';
    await inDatabase(update, [id, sample, project]);
    const insert = `insert into stream_tags (data_id, tag_id, organization_id)
                    select data_id, $2, organization_id from streams where data_id = $1`;
    await inDatabase(insert, [id, tag]);
    expect(await entry(id)).toMatchObject({ physical_sample_name: null, projects: [], tags: [] });
    expect(await found({ keywords: 'smuggled' })).toEqual([]);
    expect(await found({ project_ids: project })).toEqual([]);
  });
});

describe('filters', () => {
  test('data_ids: one, many, in any case, unknown ones find nothing', async () => {
    const [a, b] = [await createStream(), await createStream()];
    await createStream();
    expect(await found({ data_ids: a })).toEqual([a]);
    expect(await found({ data_ids: [a, b, a, randomUUID()] })).toEqual([b, a]);
    expect(await found({ data_ids: a.toUpperCase() })).toEqual([a]);
    expect(await found({ data_ids: randomUUID() })).toEqual([]);
  });

  test('data_ids: 1,000 of them, over a socket', async () => {
    const id = await createStream();
    const ids = [...Array.from({ length: 999 }, () => randomUUID()), id];
    const address = await server.app.listen({ host: '127.0.0.1', port: 0 });
    const url = `${address}/data_entries/?${encode({ data_ids: ids, include_organization_data: 'True' })}`;
    const answer = await fetch(url, { headers: { 'x-api-key': server.keys.ada } });
    expect(answer.status).toBe(200);
    expect(((await answer.json()) as Row[]).map((row) => row.data_id)).toEqual([id]);
  });

  test('physical_sample_ids', async () => {
    const [first, second] = [await createSample('filter 1'), await createSample('filter 2')];
    const a = await createStream({ sample: first });
    const b = await createStream({ sample: second });
    await createStream();
    expect(await found({ physical_sample_ids: first.toUpperCase() })).toEqual([a]);
    expect(await found({ physical_sample_ids: [first, second] })).toEqual([b, a]);
    expect(await found({ physical_sample_ids: randomUUID() })).toEqual([]);
  });

  test("project_ids: the stream's own and those of its sample", async () => {
    const [own, ofSample] = [await createProject('filter own'), await createProject('filter of sample')];
    const sample = await createSample('in a project');
    await track(ofSample, sample);
    const a = await createStream({ body: { project_id: own } });
    const b = await createStream({ sample });
    const c = await createStream({ sample, body: { project_id: own } });
    await createStream();
    expect(await found({ project_ids: own })).toEqual([c, a]);
    expect(await found({ project_ids: ofSample.toUpperCase() })).toEqual([c, b]);
    expect(await found({ project_ids: [own, ofSample] })).toEqual([c, b, a]);
    expect(await found({ project_ids: randomUUID() })).toEqual([]);
  });

  test('data_type: metrology and tool_state are one set, other types find nothing', async () => {
    const id = await createStream();
    expect((await found({ data_type: 'metrology' }))[0]).toBe(id);
    expect(await found({ data_type: 'tool_state' })).toEqual(await found({}));
    for (const data_type of [
      ...['rheed', 'rheed_image', 'rheed_stationary', 'rheed_rotating', 'xps', 'xrd', 'photoluminescence', 'pl'],
      ...['raman', 'recipe', 'optical', 'ellipsometry'],
    ]) {
      expect(await search({ data_type, status: 'all' })).toEqual([]);
    }
  });

  test('status', async () => {
    const active = await createStream();
    const done = await createStream({ finalize: true });
    const data_ids = [active, done];
    expect(await found({ data_ids, status: 'all' })).toEqual([done, active]);
    expect(await found({ data_ids, status: 'stream_active' })).toEqual([active]);
    expect(await found({ data_ids, status: 'success' })).toEqual([done]);
    for (const status of ['pending', 'error', 'running', 'stream_interrupted', 'stream_finalizing', 'stream_error']) {
      expect(await found({ data_ids, status })).toEqual([]);
    }
  });

  test('growth_length: inclusive seconds; a bound leaves out entries without a length', async () => {
    const none = await createStream();
    const short = await createStream({ times: [100, 110.5] });
    const long = await createStream({ times: [0, 3_600] });
    const data_ids = [none, short, long];
    expect(await found({ data_ids, growth_length_min: '10.5' })).toEqual([long, short]);
    expect(await found({ data_ids, growth_length_min: '10.6' })).toEqual([long]);
    expect(await found({ data_ids, growth_length_max: '10.5' })).toEqual([short]);
    expect(await found({ data_ids, growth_length_max: '10.4' })).toEqual([]);
    expect(await found({ data_ids, growth_length_min: '0', growth_length_max: '1e4' })).toEqual([long, short]);
    expect(await found({ data_ids })).toHaveLength(3);
  });

  test.each([
    ['upload_datetime', 'created_at'],
    ['last_updated', 'changed_at'],
    ['last_accessed_datetime', 'changed_at'],
  ])('%s: inclusive to the microsecond, naive is UTC, as the SDK and as ISO write it', async (name, column) => {
    const [early, late] = [await createStream(), await createStream()];
    const set = (id: string, at: string) =>
      inDatabase(`update streams set ${column} = $2 where data_id = $1`, [id, at]);
    await set(early, '2025-03-01T11:30:01.000005Z');
    await set(late, '2025-03-02T00:00:00Z');
    const within = (bounds: Query) => found({ data_ids: [early, late], ...bounds });
    const [min, max] = [`${name}_min`, `${name}_max`];
    for (const text of [
      ...['2025-03-01 11:30:01.000005', '2025-03-01 12:30:01.000005+01:00', '2025-03-01T11:30:01.000005Z'],
      '2025-03-01T11:30:01.000005+00:00',
    ]) {
      expect(await within({ [min]: text })).toEqual([late, early]);
      expect(await within({ [max]: text })).toEqual([early]);
    }
    expect(await within({ [min]: '2025-03-01 11:30:01.000006' })).toEqual([late]);
    expect(await within({ [max]: '2025-03-01 11:30:01.000004' })).toEqual([]);
    expect(await within({ [min]: '2025-03-01', [max]: '2025-03-02' })).toEqual([late, early]);
    expect(await within({ [max]: '2025-03-01 23:59:59' })).toEqual([early]);
    expect(await within({ [min]: '0001-01-01 00:00:00', [max]: '9999-12-31 23:59:59-15:59' })).toHaveLength(2);
  });

  test('all that are given hold together', async () => {
    const sample = await createSample('together');
    const a = await createStream({ sample, tags: ['needle'], times: [0, 5], finalize: true });
    const b = await createStream({ sample, tags: ['needle'], times: [0, 5] });
    const c = await createStream({ sample, times: [0, 5], finalize: true });
    const d = await createStream({ tags: ['needle'], times: [0, 5], finalize: true });
    const e = await createStream({ sample, tags: ['needle'], times: [0, 1], finalize: true });
    const query = { physical_sample_ids: sample, keywords: 'needle', growth_length_min: '5', status: 'success' };
    expect(await found(query)).toEqual([a]);
    expect((await found({ ...query, status: 'all' })).sort()).toEqual([a, b].sort());
    expect((await found({ ...query, growth_length_min: '0' })).sort()).toEqual([a, e].sort());
    const { keywords: _, ...rest } = query;
    expect((await found(rest)).sort()).toEqual([a, c].sort());
    expect(await found({ ...query, data_ids: [b, c, d, e] })).toEqual([]);
  });
});

describe('keywords', () => {
  test('are found in what people called an entry and what it comes from, within a word and in any case', async () => {
    const instrument = await server.post('/instruments/synthesis', { label: 'Kaleidoscope MBE', type: 'mbe' });
    const sample = await createSample('Kumquat wafer');
    const ofSample = await createProject('Kohlrabi of the sample');
    await track(ofSample, sample);
    const own = await createProject('Kestrel');
    const id = await createStream({
      sample,
      tags: ['kiwi:tag'],
      finalize: true,
      body: {
        stream_name: 'Köln Krypton run',
        project_id: own,
        synth_source_id: instrument.json.synth_source_id,
        instrument_type: 'kryostat',
      },
    });
    await store(id, 'Kelvin probe', [1_700_000_000]);
    const other = await createStream({ key: server.keys.grace });
    const row = await entry(id);
    const data_ids = [id, other];
    for (const keyword of [
      ...['KRYPTON', 'köLN', 'ypto', 'kaleido', 'KUMQUAT', 'kohlrabi', 'kestrel', 'KIWI:', 'kryostat'],
      ...[
        'kelvin',
        'PROBE',
        id,
        id.slice(0, 8).toUpperCase(),
        sample,
        own,
        ofSample,
        row.file_metadata.processed_data_id,
      ],
    ]) {
      expect(await found({ data_ids, keywords: keyword }), keyword).toEqual([id]);
    }
    expect(await found({ data_ids, keywords: 'ADA' })).toEqual([id]);
    expect(await found({ data_ids, keywords: 'GRACE' })).toEqual([other]);
    // What stands in every row, or is a filter of its own, and parts of ids, which nobody sees, say nothing.
    for (const keyword of ['metrology', 'success', 'stream_active', id.slice(0, 7), id.slice(1, 12), sample.slice(9)]) {
      expect(await found({ data_ids, keywords: keyword }), keyword).toEqual([]);
    }
    expect(await found({ data_ids, keywords: 'tool_state', data_type: 'tool_state' })).toEqual([]);
    expect(await found({ data_ids, keywords: 'aardvark' })).toEqual([]);
  });

  test('match when any of them does; a blank one is none', async () => {
    const [a, b] = [
      await createStream({ body: { stream_name: 'quartz' } }),
      await createStream({ body: { stream_name: 'feldspar' } }),
    ];
    const data_ids = [a, b, await createStream()];
    expect(await found({ data_ids, keywords: ['QUARTZ', 'feldspar'] })).toEqual([b, a]);
    expect(await found({ data_ids, keywords: ['quartz', 'nowhere'] })).toEqual([a]);
    expect(await found({ data_ids, keywords: ['', ' ', 'quartz'] })).toEqual([a]);
    expect(await found({ data_ids, keywords: '' })).toHaveLength(3);
  });

  test('have all of their words in one entry, in any order, wherever each stands', async () => {
    const sample = await createSample('GaN wafer W7');
    const run = await createStream({ sample, tags: ['annealed twice'], body: { stream_name: 'MBE run 417' } });
    const next = await createStream({ body: { stream_name: 'MBE run 418' } });
    const data_ids = [run, next];
    for (const keywords of [
      'MBE 417',
      '417 mbe',
      ' run\t417 ',
      'mbe\u00a0417',
      '417 gan',
      'TWICE w7 MBE',
      '417 417 417',
    ]) {
      expect(await found({ data_ids, keywords }), keywords).toEqual([run]);
    }
    expect(await found({ data_ids, keywords: 'MBE run' })).toEqual([next, run]);
    expect(await found({ data_ids, keywords: '418 gan' })).toEqual([]);
    expect(await found({ data_ids, keywords: ['418 gan', '417 twice'] })).toEqual([run]);
    expect(await found({ data_ids, keywords: `${run.slice(0, 13)} 417` })).toEqual([run]);
    expect(await found({ data_ids, keywords: `${run.slice(0, 13)} 418` })).toEqual([]);
  });

  test('a number finds the runs that are called so, and no ids that hold its digits', async () => {
    const data_ids: string[] = [];
    for (let i = 0; i < 40; i++)
      data_ids.push(await createStream({ body: { stream_name: `Run ${String(i).padStart(3, '0')}` } }));
    expect(await found({ data_ids, keywords: '10' })).toEqual([data_ids[10]]);
    expect(await found({ data_ids, keywords: '3' })).toHaveLength(13);
  });

  test.each([
    ['composed and decomposed', 'Ölprobe Å', 'Ölprobe Å'.normalize('NFD')],
    ['micro sign and mu', '5 \u00b5m', '5 \u03bcm'],
    ['ohm sign and omega', '3 \u2126', '3 \u03c9'],
    ['angstrom sign', '7 \u212b', '7 å'],
    ['full width', 'ＭＢＥ', 'mbe'],
    ['case of Greek, with its final sigma', 'ΟΔΟΣ', 'οδος'],
    ['case of Cyrillic', 'ПРОБА Й', 'проба й'],
    ['case of Latin beyond ASCII', 'ŁÓDŹ ØRE ƏZ', 'łódź øre əz'],
    ['sharp s', 'GROẞ MASSE', 'gross maße'],
    ['Armenian, Georgian, Adlam', 'ԱԲ ᲐᲑ 𞤀', 'աբ აბ 𞤢'],
    ['superscripts and ligatures', 'cm² ﬁlm', 'cm2 film'],
    ['what nobody sees', 'soft\u00adhyphen zero\u200bwidth', 'softhyphen zerowidth'],
  ])('are folded: %s', async (_, one, other) => {
    const data_ids = [
      await createStream({ body: { stream_name: `<${one}>` } }),
      await createStream({ body: { stream_name: `<${other}>` } }),
      await createStream({ times: [1], body: { stream_name: 'neither' } }),
    ];
    for (const keywords of [one, other, one.normalize('NFD'), other.toUpperCase(), one.toLowerCase()]) {
      expect(await found({ data_ids, keywords }), keywords).toEqual([data_ids[1], data_ids[0]]);
    }
  });

  test('are plain text: no wildcard, no quoting, no match across two texts', async () => {
    const named = (stream_name: string) => createStream({ body: { stream_name } });
    const percent = await named("100% o'ring \\d {x}");
    const underscore = await named('a_b');
    const neither = await named('axb 100');
    const data_ids = [percent, underscore, neither];
    expect(await found({ data_ids, keywords: '%' })).toEqual([percent]);
    expect(await found({ data_ids, keywords: 'a_b' })).toEqual([underscore]);
    expect(await found({ data_ids, keywords: '\\' })).toEqual([percent]);
    expect(await found({ data_ids, keywords: "o'ring" })).toEqual([percent]);
    expect(await found({ data_ids, keywords: '{x}' })).toEqual([percent]);
    expect(await found({ data_ids, keywords: '100metrology' })).toEqual([]);
  });
});

test.each([
  ['data_ids', '7'],
  ['data_ids', ''],
  ['physical_sample_ids', 'wafer'],
  ['project_ids', `${randomUUID()}0`],
  ['data_type', 'all'],
  ['data_type', 'Metrology'],
  ['status', 'done'],
  ['status', ''],
  ['include_organization_data', 'perhaps'],
  ['growth_length_min', 'long'],
  ['growth_length_min', '1e999'],
  ['growth_length_max', 'NaN'],
  ['keywords', 'a\0b'],
  ['keywords', 'x'.repeat(1_001)],
  ['upload_datetime_min', 'yesterday'],
  ['upload_datetime_max', '2025-02-30 00:00:00'],
  ['last_updated_min', '0000-01-01 00:00:00'],
  ['last_updated_max', '2025-01-01T00:00:00+16:00'],
  ['last_accessed_datetime_min', '2025-01-01T24:00:00Z'],
  ['last_accessed_datetime_max', ''],
])('refuses %s=%s', async (name, value) => {
  const answer = await server.get(`/data_entries/?${encode({ [name]: value })}`);
  expect(answer.status, answer.text).toBe(422);
  expect(answer.json.detail[0].loc.slice(0, 2)).toEqual(['query', name]);
});

test('refuses two values where one may stand, and ignores what it does not know', async () => {
  expect((await server.get('/data_entries/?status=all&status=success')).status).toBe(422);
  expect((await server.get('/data_entries/?shoe_size=43')).status).toBe(200);
});

test('refuses a bad time also where the type finds nothing', async () => {
  expect((await server.get('/data_entries/?data_type=xps&last_updated_min=x')).status).toBe(422);
});

describe('linking a sample', () => {
  test('answers the JSON text "OK", replaces the link before, and twice is once', async () => {
    const [first, second] = [await createSample('link 1'), await createSample('link 2')];
    const [a, b] = [await createStream(), await createStream()];
    const before = await entry(a);
    const answer = await server.post('//data_entries/physical_sample', { data_ids: [a], physical_sample_id: first });
    expect([answer.status, answer.text]).toEqual([200, '"OK"']);
    expect(answer.headers['content-type']).toMatch(/^application\/json/);
    const linked = await entry(a);
    expect(linked.physical_sample_id).toBe(first);
    expect(linked.last_updated > before.last_updated).toBe(true);
    expect(linked.upload_datetime).toBe(before.upload_datetime);
    expect((await link([a.toUpperCase(), a], first.toUpperCase())).status).toBe(200);
    expect(await entry(a)).toEqual(linked);
    expect((await link([b, a], second)).status).toBe(200);
    expect([(await entry(a)).physical_sample_name, (await entry(b)).physical_sample_name]).toEqual([
      'link 2',
      'link 2',
    ]);
  });

  test('changes nothing when one id is unknown or foreign, and answers both alike', async () => {
    const sample = await createSample('link 3');
    const foreignSample = await createSample('link 3', {}, server.keys.rival);
    const id = await createStream();
    const foreign = await createStream({ key: server.keys.rival });
    const before = [await entry(id), await entry(foreign, server.keys.rival)];
    const unknown = randomUUID();
    const alike = async (attempt: (other: string) => ReturnType<typeof link>, foreignId: string) => {
      const answers = [await attempt(unknown), await attempt(foreignId)] as const;
      expect(answers.map((answer) => answer.status)).toEqual([404, 404]);
      expect(answers[0].json.detail).toContain(unknown);
      expect(answers[0].text.replace(unknown, 'ID')).toBe(answers[1].text.replace(foreignId, 'ID'));
    };
    await alike((other) => link([id, other], sample), foreign);
    await alike((other) => link([other], sample), foreign);
    await alike((other) => link([id], other), foreignSample);
    expect([await entry(id), await entry(foreign, server.keys.rival)]).toEqual(before);
  });

  test('settles 20 requests at once for the same streams, whole', async () => {
    const samples = [await createSample('at once 1'), await createSample('at once 2')] as const;
    const ids = await Promise.all(Array.from({ length: 10 }, () => createStream()));
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => link(i % 2 ? ids : ids.toReversed(), samples[i % 2])),
    );
    expect(answers.map((answer) => answer.status)).toEqual(Array(20).fill(200));
    const linked = new Set((await search({ data_ids: ids })).map((row) => row.physical_sample_id));
    expect(linked.size).toBe(1);
  });

  test.each([
    ['no data_ids', { physical_sample_id: randomUUID() }, 'data_ids'],
    ['empty data_ids', { data_ids: [], physical_sample_id: randomUUID() }, 'data_ids'],
    ['a single text', { data_ids: randomUUID(), physical_sample_id: randomUUID() }, 'data_ids'],
    ['a malformed data_id', { data_ids: ['x'], physical_sample_id: randomUUID() }, 'data_ids'],
    ['over 10,000 ids', { data_ids: Array(10_001).fill(randomUUID()), physical_sample_id: randomUUID() }, 'data_ids'],
    ['no sample', { data_ids: [randomUUID()] }, 'physical_sample_id'],
    ['a null sample', { data_ids: [randomUUID()], physical_sample_id: null }, 'physical_sample_id'],
    ['a malformed sample', { data_ids: [randomUUID()], physical_sample_id: 'wafer' }, 'physical_sample_id'],
  ])('refuses %s', async (_what, body, field) => {
    const answer = await server.post('/data_entries/physical_sample', body);
    expect(answer.status, answer.text).toBe(422);
    expect(answer.json.detail[0].loc.slice(0, 2)).toEqual(['body', field]);
  });
});

test('needs a key', async () => {
  expect((await server.get('/data_entries/', null)).status).toBe(401);
  expect((await server.post('/data_entries/physical_sample', {}, null)).status).toBe(401);
});
