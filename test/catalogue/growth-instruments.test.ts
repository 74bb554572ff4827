import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/test-server.ts';

const path = '/instruments/synthesis';
const veeco = { label: 'Main MBE', name: 'Veeco GEN10', type: 'mbe', serial_id: 'SN-1' };

// biome-ignore lint/suspicious/noExplicitAny: tests look into rows of every shape.
type Row = any;

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const create = async (body: object = veeco, key?: string) => {
  const answer = await server.post(path, body, key);
  expect(answer.status, answer.text).toBe(201);
  return answer.json;
};
const listedIds = async (key?: string) => (await server.get(path, key)).json.map((row: Row) => row.synth_source_id);

test('answers a new instrument under the names of the list', async () => {
  const created = await create();
  expect(created).toEqual({
    synth_source_id: expect.any(Number),
    source_name: 'Main MBE',
    synth_source_type: 'mbe',
    source_manufacturer: null,
    source_model: 'Veeco GEN10',
    serial_id: 'SN-1',
  });
  expect((await server.get(path)).json).toContainEqual(created);
  expect((await server.get(`/${path}//`)).json).toContainEqual(created);
});

test('takes the label alone, a null serial number, and the same label again', async () => {
  const bare = await create({ label: '  Bare ', type: 'ald' });
  expect(bare).toMatchObject({ source_name: 'Bare', source_model: null, serial_id: null });
  const again = await create({ label: 'Bare', name: null, type: 'ald', serial_id: null });
  expect(again.synth_source_id).toBeGreaterThan(bare.synth_source_id);
});

test.each(['mbe', 'cvd', 'pvd', 'sputter', 'ald', 'pld'])('knows the type %s', async (type) => {
  expect((await create({ ...veeco, type })).synth_source_type).toBe(type);
});

test.each([
  ['no label', { type: 'mbe' }, 'label'],
  ['an empty label', { ...veeco, label: '' }, 'label'],
  ['a blank label', { ...veeco, label: ' \n ' }, 'label'],
  ['a label that is no text', { ...veeco, label: 7 }, 'label'],
  ['a null label', { ...veeco, label: null }, 'label'],
  ['a label over 1,000 characters', { ...veeco, label: 'x'.repeat(1_001) }, 'label'],
  ['U+0000', { ...veeco, label: 'a\0b' }, 'label'],
  ['a lone surrogate', { ...veeco, serial_id: '\ud800' }, 'serial_id'],
  ['no type', { label: 'x' }, 'type'],
  ['another type', { ...veeco, type: 'MBE' }, 'type'],
  ['a name that is no text', { ...veeco, name: {} }, 'name'],
])('refuses %s', async (_what, body, field) => {
  const before = await listedIds();
  const answer = await server.post(path, body);
  expect(answer.status, answer.text).toBe(422);
  expect(answer.json.detail[0].loc).toEqual(['body', field]);
  expect(await listedIds()).toEqual(before);
});

describe('changes', () => {
  const change = (id: number | string, body: object, key?: string) => server.send('PATCH', `${path}/${id}`, body, key);

  test('only what is said, and what it grew shows its new name', async () => {
    const created = await create();
    const id = created.synth_source_id;
    const stream = await server.post('/metrology/stream/initialize', { points_per_chunk: 1, synth_source_id: id });
    const renamed = await change(id, { label: '  Bay 3 ' });
    expect([renamed.status, renamed.json]).toEqual([200, { ...created, source_name: 'Bay 3' }]);
    const [entry] = (await server.get(`/data_entries/?data_ids=${stream.json.data_id}`)).json;
    expect(entry.source_name).toBe('Bay 3');
    const all = await change(id, { type: 'ald', name: null, serial_id: 'SN-2' });
    const expected = { ...renamed.json, synth_source_type: 'ald', source_model: null, serial_id: 'SN-2' };
    expect(all.json).toEqual(expected);
    expect((await change(id, {})).json).toEqual(expected);
    expect((await server.get(path)).json).toContainEqual(expected);
  });

  test.each([
    ['a blank label', { label: ' ' }, 'label'],
    ['a null label', { label: null }, 'label'],
    ['another type', { type: 'MBE' }, 'type'],
    ['U+0000', { name: 'a\0b' }, 'name'],
    ['a serial number that is no text', { serial_id: 7 }, 'serial_id'],
  ])('not to %s', async (_what, body, field) => {
    const created = await create();
    const { status, json } = await change(created.synth_source_id, { label: 'other', ...body });
    expect([status, json.detail[0].loc]).toEqual([422, ['body', field]]);
    expect((await server.get(path)).json).toContainEqual(created);
  });

  test('none that is unknown, foreign or deleted', async () => {
    const { synth_source_id: deleted } = await create();
    await server.send('DELETE', `${path}?synthesis_instrument_ids=${deleted}`);
    const { synth_source_id: foreign } = await create(veeco, server.keys.rival);
    for (const id of [deleted, foreign, 2_147_483_647, 9_999_999_999]) {
      const { status, json } = await change(id, { label: 'taken over' });
      expect([status, json]).toEqual([404, { detail: `Growth instrument ${id} not found` }]);
    }
    const [kept] = (await server.get(path, server.keys.rival)).json.slice(-1);
    expect(kept).toMatchObject({ synth_source_id: foreign, source_name: 'Main MBE' });
  });

  test.each(['0', '-1', '1.5', 'x', '12345678901'])('none by the id %s', async (id) => {
    const { status, json } = await change(id, { label: 'x' });
    expect([status, json.detail[0].loc]).toEqual([422, ['path', 'synth_source_id']]);
  });
});

test('deletes softly: gone from the list, and what it grew still shows its name', async () => {
  const { synth_source_id: id } = await create({ ...veeco, label: 'Old tool' });
  const sample = await server.post('/physical_samples/', { name: 'grown by the old tool', growth_instrument_id: id });
  const answer = await server.send('DELETE', `${path}?synthesis_instrument_ids=${id}`);
  expect([answer.status, answer.json]).toEqual([200, [id]]);
  expect(await listedIds()).not.toContain(id);
  const [row] = (await server.get(`/physical_samples/?physical_sample_id=${sample.json.id}`)).json;
  expect(row.growth_instrument).toBe('Old tool');
  expect((await server.send('DELETE', `${path}?synthesis_instrument_ids=${id}`)).status).toBe(404);
});

test('deletes several at once, each once, or none when one is unknown', async () => {
  const ids = [(await create()).synth_source_id, (await create()).synth_source_id];
  const query = (list: number[]) => list.map((id) => `synthesis_instrument_ids=${id}`).join('&');
  const refused = await server.send('DELETE', `${path}?${query([...ids, 2_000_000_000])}`);
  expect(refused.status).toBe(404);
  expect(refused.json.detail).toContain('2000000000');
  expect(await listedIds()).toEqual(expect.arrayContaining(ids));
  const [first, second] = ids as [number, number];
  expect((await server.send('DELETE', `${path}?${query([second, first, first])}`)).json).toEqual(ids);
  expect(await listedIds()).not.toEqual(expect.arrayContaining([first]));
  expect(await listedIds()).not.toEqual(expect.arrayContaining([second]));
});

test('lets one of many deletions at once have it', async () => {
  const { synth_source_id: id } = await create();
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => server.send('DELETE', `${path}?synthesis_instrument_ids=${id}`)),
  );
  expect(answers.map((answer) => answer.status).sort()).toEqual([200, ...Array(7).fill(404)]);
});

test('answers a foreign instrument exactly like an unknown one', async () => {
  const { synth_source_id: id } = await create(veeco, server.keys.rival);
  expect(await listedIds()).not.toContain(id);
  expect(await listedIds(server.keys.rival)).toContain(id);
  const foreign = await server.send('DELETE', `${path}?synthesis_instrument_ids=${id}`);
  const unknown = await server.send('DELETE', `${path}?synthesis_instrument_ids=2000000000`);
  expect(foreign.status).toBe(404);
  expect(foreign.text.replace(String(id), 'ID')).toBe(unknown.text.replace('2000000000', 'ID'));
  expect(await listedIds(server.keys.rival)).toContain(id);
});

test('shows an instrument to everyone of the organization', async () => {
  const { synth_source_id: id } = await create();
  expect(await listedIds(server.keys.grace)).toContain(id);
});

test.each([
  '',
  'synthesis_instrument_ids=',
  'synthesis_instrument_ids=x',
  'synthesis_instrument_ids=0',
  'synthesis_instrument_ids=-1',
  'synthesis_instrument_ids=1.5',
  'synthesis_instrument_ids=2147483648',
])('refuses to delete by "%s"', async (query) => {
  const answer = await server.send('DELETE', `${path}?${query}`);
  expect(answer.status).toBe(422);
  expect(answer.json.detail[0].loc.slice(0, 2)).toEqual(['query', 'synthesis_instrument_ids']);
});

test('needs a key', async () => {
  for (const method of ['GET', 'POST', 'DELETE']) {
    expect((await server.send(method, path, undefined, null)).status).toBe(401);
  }
});
