import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { contract } from '../../src/contract.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

// biome-ignore lint/suspicious/noExplicitAny: tests look into rows of every shape.
type Row = any;

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const create = async (body: object, key?: string) => {
  const answer = await server.post('/physical_samples/', body, key);
  expect(answer.status, answer.text).toBe(200);
  return answer.json;
};
const list = async (query = '', key?: string) => (await server.get(`/physical_samples/${query}`, key)).json as Row[];
const isoTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$/;

test('creates a sample by its name alone and answers the documented keys, never physical_sample_id', async () => {
  const sample = await create({ name: '  Wafer 7\n' });
  expect(sample).toEqual({
    id: expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
    name: 'Wafer 7',
    created_datetime: expect.stringMatching(isoTime),
    last_updated: expect.stringMatching(isoTime),
    version: 1,
    user_id: expect.any(String),
    growth_instrument_id: null,
    sample_id: null,
    detail_notes_id: null,
    physical_sample_metadata: null,
  });
});

test('keeps everything that the body may say', async () => {
  const instrument = await server.post('/instruments/synthesis', { label: 'Tool', type: 'pld' });
  const metadata = '{"__proto__":{"a":[1,-0.5,1e-300]},"constructor":"x","µ":"🔬","deep":{"null":null,"t":true}}';
  const sent = {
    name: 'full',
    growth_instrument_id: instrument.json.synth_source_id,
    sample_id: Number.MAX_SAFE_INTEGER,
    detail_notes_id: randomUUID(),
  };
  const body = `${JSON.stringify(sent).slice(0, -1)},"physical_sample_metadata":${metadata}}`;
  const answer = await server.post('/physical_samples/', body);
  expect(answer.status, answer.text).toBe(200);
  expect(answer.json).toMatchObject(sent);
  const [row] = await list(`?physical_sample_id=${answer.json.id}`);
  expect(row).toMatchObject({ ...sent, growth_instrument: 'Tool' });
  for (const shown of [answer.json, row]) {
    expect(Object.keys(shown.physical_sample_metadata).sort()).toEqual(
      ['__proto__', 'constructor', 'deep', 'µ'].sort(),
    );
    expect(shown.physical_sample_metadata).toEqual(JSON.parse(metadata));
    expect(Object.getOwnPropertyDescriptor(shown.physical_sample_metadata, '__proto__')?.value.a).toEqual([
      1, -0.5, 1e-300,
    ]);
  }
});

test('answers the sample that exists, unchanged, whatever the case of its name', async () => {
  const first = await create({ name: 'Exists Ö', physical_sample_metadata: { kept: true } });
  const second = await create({ name: ' EXISTS Ö ', physical_sample_metadata: { kept: false }, sample_id: 5 });
  expect(second).toEqual(first);
  expect(await create({ name: 'exists ö' }, server.keys.grace)).toEqual(first);
});

test('makes one sample of one name that 20 create at once', async () => {
  const keys = [server.keys.ada, server.keys.grace];
  const samples = await Promise.all(
    Array.from({ length: 20 }, (_, i) => create({ name: i % 3 ? 'Race' : ' RACE ' }, keys[i % 2])),
  );
  expect(new Set(samples.map((sample) => sample.id)).size).toBe(1);
  expect((await list()).filter((row) => row.name.toLowerCase() === 'race')).toHaveLength(1);
});

test('lists all samples of the organization, newest first, every row with the same keys', async () => {
  const bare = await create({ name: 'bare row' });
  const linked = await create({ name: 'linked row' }, server.keys.grace);
  for (const name of ['Project B', 'Project A']) {
    const project = await server.post('/projects/', { name });
    await server.post(`/projects/${project.json.id}/configuration/tracking_samples`, { physical_sample_id: linked.id });
  }
  for (let i = 0; i < 2; i++) await streamOf(linked.id);
  const rows = await list();
  expect(rows.slice(0, 2).map((row) => row.id)).toEqual([linked.id, bare.id]);
  const keys = [
    ...['id', 'name', 'created_datetime', 'last_updated', 'version', 'user_id', 'growth_instrument_id', 'sample_id'],
    ...['detail_notes_id', 'physical_sample_metadata', 'owner_id', 'owner_name', 'projects', 'target_material'],
    ...['detail_notes', 'growth_instrument', 'num_data_items'],
  ].sort();
  for (const row of rows) expect(Object.keys(row).sort()).toEqual(keys);
  expect(rows[0]).toMatchObject({ owner_name: 'grace', num_data_items: 2, target_material: null, detail_notes: null });
  expect(rows[0].projects.map((project: Row) => project.name)).toEqual(['Project B', 'Project A']);
  expect(rows[1]).toMatchObject({ owner_name: 'ada', num_data_items: 0, projects: [], growth_instrument: null });
  expect(rows[1].owner_id).toBe(rows[1].user_id);
});

test('filters by id in any case, and by whether there are streams', async () => {
  const empty = await create({ name: 'no stream' });
  const full = await create({ name: 'one stream' });
  await streamOf(full.id);
  expect((await list(`?physical_sample_id=${full.id.toUpperCase()}`)).map((row) => row.id)).toEqual([full.id]);
  expect(await list(`?physical_sample_id=${randomUUID()}`)).toEqual([]);
  const having = (await list('?has_data_item=True')).map((row) => row.id);
  const lacking = (await list('?has_data_item=False')).map((row) => row.id);
  expect(having).toContain(full.id);
  expect(having).not.toContain(empty.id);
  expect(lacking).toContain(empty.id);
  expect(lacking).not.toContain(full.id);
  expect(await list(`?physical_sample_id=${full.id}&has_data_item=false`)).toEqual([]);
});

test.each([
  ['physical_sample_id=7', 'physical_sample_id'],
  ['physical_sample_id=', 'physical_sample_id'],
  ['has_data_item=maybe', 'has_data_item'],
])('refuses the filter %s', async (query, field) => {
  const answer = await server.get(`/physical_samples/?${query}`);
  expect(answer.status).toBe(422);
  expect(answer.json.detail[0].loc).toEqual(['query', field]);
});

test.each([
  ['no name', {}, ['name']],
  ['a null name', { name: null }, ['name']],
  ['an empty name', { name: '' }, ['name']],
  ['a blank name', { name: ' \t\u2003' }, ['name']],
  ['a name that is no text', { name: ['x'] }, ['name']],
  ['a name over 1,000 characters', { name: 'x'.repeat(1_001) }, ['name']],
  ['U+0000 in the name', { name: 'a\0b' }, ['name']],
  ['a lone surrogate in the name', { name: 'a\udc00' }, ['name']],
  ['an instrument beyond int4', { name: 'x', growth_instrument_id: 2 ** 31 }, ['growth_instrument_id']],
  ['an instrument of no number', { name: 'x', growth_instrument_id: '1' }, ['growth_instrument_id']],
  ['a fractional instrument', { name: 'x', growth_instrument_id: 1.5 }, ['growth_instrument_id']],
  ['a sample_id beyond 2^53', { name: 'x', sample_id: 2 ** 53 }, ['sample_id']],
  ['a negative sample_id', { name: 'x', sample_id: -1 }, ['sample_id']],
  ['a note that is no uuid', { name: 'x', detail_notes_id: 'note' }, ['detail_notes_id']],
  ['metadata that is a list', { name: 'x', physical_sample_metadata: [] }, ['physical_sample_metadata']],
  ['metadata that is a text', { name: 'x', physical_sample_metadata: '{}' }, ['physical_sample_metadata']],
  ['U+0000 in metadata', { name: 'x', physical_sample_metadata: { a: ['\0'] } }, ['physical_sample_metadata', 'a', 0]],
  [
    'a lone surrogate in metadata',
    { name: 'x', physical_sample_metadata: { a: '\ud800' } },
    ['physical_sample_metadata', 'a'],
  ],
  ['U+0000 in a key', { name: 'x', physical_sample_metadata: { 'k\0': 1 } }, ['physical_sample_metadata', 'k\0']],
  [
    'a lone surrogate in a key',
    { name: 'x', physical_sample_metadata: { 'k\ud800': 1 } },
    ['physical_sample_metadata', 'k\ufffd'],
  ],
  ['a number beyond float64', '{"name":"x","physical_sample_metadata":{"n":1e999}}', ['physical_sample_metadata', 'n']],
])('refuses %s', async (_what, body, loc) => {
  const before = (await list()).length;
  const answer = await server.post('/physical_samples/', body);
  expect(answer.status, answer.text).toBe(422);
  expect(answer.json.detail[0].loc).toEqual(['body', ...loc]);
  expect(await list()).toHaveLength(before);
});

test('refuses metadata deeper than 100 levels, however deep', async () => {
  const nested = (levels: number) =>
    `{"name":"deep","physical_sample_metadata":${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}}`;
  expect((await server.post('/physical_samples/', nested(101))).status).toBe(422);
  const answer = await server.post('/physical_samples/', nested(5_000));
  expect(answer.status).toBe(422);
  expect(answer.json.detail[0].msg).toContain('100 levels');
  expect((await server.post('/physical_samples/', nested(100))).status).toBe(200);
});

test('stores the longest names and refuses longer ones', async () => {
  // Characters that do not compress: the index of names has to hold them as they are.
  const random = (length: number) =>
    Array.from({ length }, () => String.fromCodePoint(0x20000 + Math.floor(Math.random() * 40_000))).join('');
  const longest = random(contract.nameLengthMax);
  expect((await create({ name: longest })).name).toBe(longest);
  const answer = await server.post('/physical_samples/', { name: random(contract.nameLengthMax + 1) });
  expect(answer.status).toBe(422);
  expect(answer.json.detail[0]).toMatchObject({ loc: ['body', 'name'], msg: expect.stringContaining('255') });
});

test('answers a foreign or deleted growth instrument like an unknown one and makes no sample', async () => {
  const foreign = await server.post('/instruments/synthesis', { label: 'x', type: 'mbe' }, server.keys.rival);
  const deleted = await server.post('/instruments/synthesis', { label: 'x', type: 'mbe' });
  await server.send('DELETE', `/instruments/synthesis?synthesis_instrument_ids=${deleted.json.synth_source_id}`);
  for (const id of [foreign.json.synth_source_id, deleted.json.synth_source_id, 2 ** 31 - 1]) {
    const answer = await server.post('/physical_samples/', { name: 'grown nowhere', growth_instrument_id: id });
    expect([answer.status, answer.json]).toEqual([404, { detail: `Growth instrument ${id} not found` }]);
  }
  expect((await list()).filter((row) => row.name === 'grown nowhere')).toEqual([]);
});

test('keeps organizations apart', async () => {
  const ours = await create({ name: 'Both have it' });
  const theirs = await create({ name: 'both have it' }, server.keys.rival);
  expect(theirs.id).not.toBe(ours.id);
  expect((await create({ name: 'BOTH have it' })).id).toBe(ours.id);
  expect((await create({ name: 'BOTH have it' }, server.keys.rival)).id).toBe(theirs.id);
  expect(await list(`?physical_sample_id=${ours.id}`, server.keys.rival)).toEqual([]);
  expect((await list('', server.keys.rival)).map((row) => row.id)).toEqual([theirs.id]);
});

test('answers the computed time series of a sample with none, and 404 for an unknown or foreign one', async () => {
  const { id } = await create({ name: 'series' });
  const answer = await server.get(`/physical_samples/${id.toUpperCase()}/timeseries/`);
  expect([answer.status, answer.json]).toEqual([200, { physical_sample_id: id, properties: [] }]);
  const unknownId = randomUUID();
  const unknown = await server.get(`/physical_samples/${unknownId}/timeseries/`);
  const foreign = await server.get(`/physical_samples/${id}/timeseries/`, server.keys.rival);
  expect([unknown.status, foreign.status]).toEqual([404, 404]);
  expect(foreign.text.replace(id, 'ID')).toBe(unknown.text.replace(unknownId, 'ID'));
  expect((await server.get('/physical_samples/x/timeseries/')).status).toBe(422);
});

test('needs a key', async () => {
  expect((await server.get('/physical_samples/', null)).status).toBe(401);
  expect((await server.post('/physical_samples/', { name: 'x' }, null)).status).toBe(401);
  expect((await server.get(`/physical_samples/${randomUUID()}/timeseries/`, null)).status).toBe(401);
});

async function streamOf(sampleId: string): Promise<void> {
  const stream = await server.post('/tool-state/stream/initialize', { stream_name: 'run', points_per_chunk: 10 });
  const link = { data_ids: [stream.json.data_id], physical_sample_id: sampleId };
  expect((await server.post('/data_entries/physical_sample', link)).status).toBe(200);
}

describe('PATCH', () => {
  const patch = (id: string, body: object, path = '') => server.send('PATCH', `/physical_samples/${id}${path}`, body);

  test('changes only what is there, counts the version, and the same again changes nothing', async () => {
    const made = (await server.post('/physical_samples/', { name: 'patch me', sample_id: 4 })).json;
    const note = '11111111-2222-4333-8444-555555555555';
    const changed = await patch(made.id.toUpperCase(), {
      name: ' patched ',
      detail_notes_id: note,
      physical_sample_metadata: { substrate: 'Si' },
    });
    expect(changed.status, changed.text).toBe(200);
    expect(changed.json).toEqual({
      ...made,
      name: 'patched',
      detail_notes_id: note,
      physical_sample_metadata: { substrate: 'Si' },
      version: 2,
      last_updated: changed.json.last_updated,
    });
    expect(changed.json.last_updated > made.last_updated).toBe(true);
    for (const same of [{}, { name: 'patched', sample_id: 4 }]) {
      expect((await patch(made.id, same)).json).toEqual(changed.json);
    }
    const cleared = { sample_id: null, detail_notes_id: null, physical_sample_metadata: null };
    expect((await patch(made.id, cleared)).json).toMatchObject({ ...cleared, name: 'patched', version: 3 });
  });

  test('refuses the name of another sample; a change of case is no other name', async () => {
    await server.post('/physical_samples/', { name: 'Taken' });
    const { id } = (await server.post('/physical_samples/', { name: 'free' })).json;
    const refused = await patch(id, { name: 'TAKEN', sample_id: 9 });
    expect([refused.status, refused.json.detail]).toEqual([409, 'Another physical sample is called "TAKEN".']);
    expect((await patch(id, { name: 'FREE' })).json).toMatchObject({ name: 'FREE', sample_id: null });
    for (const name of [' ', null]) expect((await patch(id, { name })).status).toBe(422);
  });

  test('growth_instrument sets and takes away the instrument, which has to be named', async () => {
    const { id } = (await server.post('/physical_samples/', { name: 'grown' })).json;
    const instrument = await server.post('/instruments/synthesis', { label: 'Patch MBE', type: 'mbe' });
    const growth_instrument_id = instrument.json.synth_source_id;
    const set = await patch(id, { growth_instrument_id }, '/growth_instrument');
    expect(set.json).toMatchObject({ id, growth_instrument_id, version: 2 });
    expect((await patch(id, { growth_instrument_id: null }, '/growth_instrument')).json.growth_instrument_id).toBe(
      null,
    );
    expect((await patch(id, {}, '/growth_instrument')).status).toBe(422);
    expect((await patch(id, { growth_instrument_id: 99_999 }, '/growth_instrument')).status).toBe(404);
  });
});
