import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chunkBody, openStream } from '../streams/support/chunks.ts';
import { earlier } from '../support/earlier.ts';
import { joinTestServer, startTestServer, type TestServer } from '../support/test-server.ts';

let server: TestServer;
/** The same database, where a stream is idle after ten minutes. */
let impatient: TestServer;
beforeAll(async () => {
  server = await startTestServer();
  impatient = await joinTestServer(server, { STREAM_IDLE_SECONDS: 600 });
});
afterAll(async () => {
  await impatient.close();
  await server.close();
});

const push = (dataId: string, index: number, values = [1]) =>
  server.post('/tool-state/stream/chunk', chunkBody(dataId, index, 't', values));
const finalize = (dataId: string) => server.post(`/tool-state/stream/${dataId}/finalize`);
const entry = async (dataId: string, at = server) => (await at.get(`/data_entries/?data_ids=${dataId}`)).json[0];
const status = async (dataId: string, at = server) => (await entry(dataId, at)).pipeline_status;
const change = (dataId: string, body: object) => server.send('PATCH', `/data_entries/${dataId}`, body);
const listed = async (query: string, at = server) =>
  (await at.get(`/data_entries/?${query}`)).json.map((row: { data_id: string }) => row.data_id) as string[];

/** As if all that has happened to a stream had happened so many minutes earlier. */
async function age(dataId: string, minutes: number): Promise<void> {
  for (const [table, columns] of [
    ['streams', ['created_at', 'changed_at', 'finalized_at']],
    ['channels', ['created_at', 'changed_at']],
  ] as const) {
    const ago = columns.map((column) => `${column} = ${earlier(column)}`).join(', ');
    await server.owner.pool.query(`update ${table} set ${ago} where data_id = $1::uuid`, [
      dataId,
      `${minutes} minutes`,
    ]);
  }
}

describe('a silent stream', () => {
  test('shows as interrupted after STREAM_IDLE_SECONDS, and as active again with the next chunk', async () => {
    const dataId = await openStream(server);
    await push(dataId, 0);
    await age(dataId, 59);
    expect([await status(dataId), await status(dataId, impatient)]).toEqual(['stream_active', 'stream_interrupted']);
    await age(dataId, 2);
    expect(await status(dataId)).toBe('stream_interrupted');
    // What people do with the entry is no sign of life.
    await change(dataId, { raw_name: 'renamed' });
    expect(await status(dataId)).toBe('stream_interrupted');
    await push(dataId, 1);
    expect([await status(dataId), await status(dataId, impatient)]).toEqual(['stream_active', 'stream_active']);
  });

  test('is found by that status, which is no keyword', async () => {
    const [silent, active] = [await openStream(server), await openStream(server)];
    for (const dataId of [silent, active]) await push(dataId, 0);
    await age(silent, 61);
    const both = `data_ids=${silent}&data_ids=${active}`;
    expect(await listed(`${both}&status=stream_interrupted`)).toEqual([silent]);
    expect(await listed(`${both}&status=stream_active`)).toEqual([active]);
    expect(await listed(`${both}&keywords=interrupted`)).toEqual([]);
  });

  test('that is finalized is a success for ever', async () => {
    const dataId = await openStream(server);
    await push(dataId, 0);
    await finalize(dataId);
    await age(dataId, 60 * 24 * 365);
    expect(await status(dataId)).toBe('success');
  });
});

describe('an orphan: open, old and without data', () => {
  test('is hidden from search, listed on request and found by its id', async () => {
    const name = randomUUID();
    const dataId = await openStream(server, { stream_name: name });
    expect(await listed(`keywords=${name}`)).toEqual([dataId]);
    await age(dataId, 61);
    for (const query of [`keywords=${name}`, `keywords=${name}&include_orphans=False&status=stream_interrupted`]) {
      expect(await listed(query)).toEqual([]);
    }
    expect(await listed(`keywords=${name}&include_orphans=True`)).toEqual([dataId]);
    expect(await status(dataId)).toBe('stream_interrupted');
    await push(dataId, 0);
    expect(await listed(`keywords=${name}`)).toEqual([dataId]);
  });

  test('is none when it was finalized or somebody has said how it went', async () => {
    const [finalized, judged] = [await openStream(server), await openStream(server)];
    await finalize(finalized);
    await change(judged, { pipeline_status: 'error' });
    for (const dataId of [finalized, judged]) await age(dataId, 61);
    expect(await listed('')).toEqual(expect.arrayContaining([finalized, judged]));
  });
});

describe('PATCH of a data entry', () => {
  test('renames it and answers the full row', async () => {
    const dataId = await openStream(server, { stream_name: 'before' });
    const before = await entry(dataId);
    const answer = await change(dataId.toUpperCase(), { raw_name: ' after ' });
    expect(answer.status, answer.text).toBe(200);
    expect(answer.json).toEqual({
      ...before,
      raw_name: ' after ',
      last_updated: answer.json.last_updated,
      last_accessed_datetime: answer.json.last_updated,
    });
    expect(answer.json.last_updated > before.last_updated).toBe(true);
    expect(await entry(dataId)).toEqual(answer.json);
    for (const same of [{}, { raw_name: ' after ' }]) expect((await change(dataId, same)).json).toEqual(answer.json);
  });

  test('a status that is said stands, whatever the stream does, until null takes it back', async () => {
    const dataId = await openStream(server);
    expect((await change(dataId, { pipeline_status: 'error' })).json.pipeline_status).toBe('error');
    await push(dataId, 0);
    await finalize(dataId);
    await age(dataId, 61);
    expect(await status(dataId)).toBe('error');
    expect(await listed(`data_ids=${dataId}&status=success`)).toEqual([]);
    expect(await listed(`data_ids=${dataId}&status=error`)).toEqual([dataId]);
    expect((await change(dataId, { pipeline_status: null })).json.pipeline_status).toBe('success');
  });

  test('a status that is said changes nothing of what is taken', async () => {
    const dataId = await openStream(server);
    await change(dataId, { pipeline_status: 'success' });
    expect((await push(dataId, 0)).status).toBe(201);
  });

  test('a type that is said shows, whatever type a search names', async () => {
    const dataId = await openStream(server);
    expect((await change(dataId, { char_source_type: 'tool_state' })).json.char_source_type).toBe('tool_state');
    const typeFor = async (query: string) =>
      (await server.get(`/data_entries/?data_ids=${dataId}${query}`)).json[0].char_source_type;
    expect(await typeFor('')).toBe('tool_state');
    expect(await typeFor('&data_type=metrology')).toBe('tool_state');
    expect((await change(dataId, { char_source_type: null })).json.char_source_type).toBe('metrology');
  });

  test.each([
    ['raw_name', ''],
    ['raw_name', ' \t'],
    ['raw_name', null],
    ['raw_name', 'x'.repeat(1_001)],
    ['pipeline_status', 'all'],
    ['pipeline_status', 'excellent'],
    ['char_source_type', 'xps'],
  ])('refuses %s %j, and changes nothing', async (field, value) => {
    const dataId = await openStream(server);
    const before = await entry(dataId);
    const answer = await change(dataId, { raw_name: 'other', [field]: value });
    expect([answer.status, answer.json.detail[0].loc]).toEqual([422, ['body', field]]);
    expect(await entry(dataId)).toEqual(before);
  });
});

test('a tag that is put on an entry updates it; the same tag again does not', async () => {
  const [dataId, other] = [await openStream(server), await openStream(server)];
  const tag = (await server.post('/tags/', { name: 'late tag' })).json.id;
  const [before, ofOther] = [await entry(dataId), await entry(other)];
  const tagIt = () => server.post('/tags/data-items/', { data_ids: [dataId], tag_ids: [tag] });
  await tagIt();
  const tagged = await entry(dataId);
  expect(tagged.last_updated > before.last_updated).toBe(true);
  await tagIt();
  expect(await entry(dataId)).toEqual(tagged);
  expect(await entry(other)).toEqual(ofOther);
});

test('a sample becomes one of the project with which it opens a stream', async () => {
  const sample = async () => (await server.post('/physical_samples/', { name: randomUUID() })).json.id as string;
  const [opened, other] = [await sample(), await sample()];
  const project = (await server.post('/projects/', { name: randomUUID() })).json;
  const samplesOf = async (id: string) =>
    (await server.get(`/projects/${id}/physical_samples`)).json.map((row: { id: string }) => row.id).sort();
  await openStream(server, { project_id: project.id, physical_sample_id: opened });
  expect(await samplesOf(project.id)).toEqual([opened]);
  await openStream(server, { project_id: project.id });
  await openStream(server, { physical_sample_id: other });
  await openStream(server, { project_id: project.id, physical_sample_id: opened });
  expect(await samplesOf(project.id)).toEqual([opened]);
  const [row] = (await server.get('/projects/')).json;
  expect(row.last_updated > project.last_updated).toBe(true);
});

describe('a note', () => {
  const note = 'grew too fast: see log book <b>7</b>\nsecond line 🔬';

  test('is written, found, changed and taken away; the same again changes nothing', async () => {
    const dataId = await openStream(server);
    await push(dataId, 0);
    expect(await entry(dataId)).toMatchObject({ detail_note_content: null, detail_note_last_updated: null });
    const before = await entry(dataId);
    const written = await change(dataId, { detail_note_content: note });
    expect([written.status, written.json]).toEqual([200, expect.objectContaining({ detail_note_content: note })]);
    const at = written.json.detail_note_last_updated;
    expect(at).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    expect(written.json.last_updated > before.last_updated).toBe(true);
    // Another change leaves it and its time; the same note is no change.
    await change(dataId, { raw_name: 'renamed', detail_note_content: note });
    expect(await entry(dataId)).toMatchObject({ detail_note_content: note, detail_note_last_updated: at });
    expect(await listed(`data_ids=${dataId}&keywords=log%20book`)).toEqual([dataId]);
    const runs = (await server.get('/runs/?search=log%20book')).json.runs;
    expect(runs.map((run: { data_id: string }) => run.data_id)).toContain(dataId);
    const changed = await change(dataId, { detail_note_content: 'another' });
    expect(changed.json.detail_note_last_updated > at).toBe(true);
    for (const gone of [' \n', null]) {
      await change(dataId, { detail_note_content: 'again' });
      expect((await change(dataId, { detail_note_content: gone })).json).toMatchObject({
        ...{ detail_note_content: null, detail_note_last_updated: null },
      });
    }
  });

  test.each([
    ['a number', 7],
    ['U+0000', 'a\0'],
    ['more characters than noteCharactersMax', 'ж'.repeat(10_001)],
  ])('that is %s is refused, and nothing is changed', async (_what, content) => {
    const dataId = await openStream(server);
    const answer = await change(dataId, { raw_name: 'renamed', detail_note_content: content });
    expect([answer.status, answer.json.detail[0].loc]).toEqual([422, ['body', 'detail_note_content']]);
    expect((await entry(dataId)).raw_name).not.toBe('renamed');
    expect((await change(dataId, { detail_note_content: 'ж'.repeat(10_000) })).status).toBe(200);
  });
});
