import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/test-server.ts';

// biome-ignore lint/suspicious/noExplicitAny: tests look into rows of every shape.
type Row = any;

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

let count = 0;
const createProject = async (name = `project ${++count}`, key?: string) => {
  const answer = await server.post('/projects/', { name }, key);
  expect(answer.status, answer.text).toBe(201);
  return answer.json.id as string;
};
const createSample = async (name = `sample ${++count}`, key?: string) =>
  (await server.post('/physical_samples/', { name }, key)).json.id as string;
const row = async (id: string, key?: string) =>
  ((await server.get('/projects/', key)).json as Row[]).find((project) => project.id === id);
const track = (project: string, sample: string, set_active?: boolean, key?: string) =>
  server.post(
    `/projects/${project}/configuration/tracking_samples`,
    { physical_sample_id: sample, ...(set_active !== undefined && { set_active }) },
    key,
  );
const configure = (project: string, body: unknown, key?: string) =>
  server.post(`/projects/${project}/configuration`, body, key);

test('creates a project and lists it, newest first, every row with the same keys', async () => {
  const created = await server.post('//projects/', { name: ' First\n' });
  expect(created.status).toBe(201);
  expect(created.json).toEqual({
    id: expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
    name: 'First',
    physical_sample_count: 0,
    owner_id: expect.any(String),
    owner_name: 'ada',
    created_datetime: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    last_updated: created.json.created_datetime,
    detail_note: null,
    configuration: {
      api_configuration: null,
      tracking_physical_sample_ids: [],
      active_tracking_physical_sample_id: null,
    },
  });
  const second = await createProject('Second', server.keys.grace);
  const rows = (await server.get('/projects')).json;
  expect(rows.slice(0, 2).map((project: Row) => project.id)).toEqual([second, created.json.id]);
  expect(rows[0].owner_name).toBe('grace');
  expect(rows[1]).toEqual(created.json);
});

test('answers the project that exists, whatever the case of its name, 200', async () => {
  const id = await createProject('Exists É');
  const again = await server.post('/projects/', { name: ' EXISTS É ' }, server.keys.grace);
  expect([again.status, again.json.id, again.json.name]).toEqual([200, id, 'Exists É']);
});

test('makes one project of one name that 20 create at once', async () => {
  const answers = await Promise.all(Array.from({ length: 20 }, () => server.post('/projects/', { name: 'race' })));
  expect(answers.map((answer) => answer.status).sort()).toEqual([...Array(19).fill(200), 201]);
  expect(new Set(answers.map((answer) => answer.json.id)).size).toBe(1);
});

test.each([
  ['no name', {}],
  ['a null name', { name: null }],
  ['an empty name', { name: '' }],
  ['a blank name', { name: '  ' }],
  ['a number', { name: 7 }],
  ['U+0000', { name: 'a\0' }],
  ['a lone surrogate', '{"name":"\\udfff"}'],
  ['over 1,000 characters', { name: 'x'.repeat(1_001) }],
])('refuses %s', async (_what, body) => {
  const answer = await server.post('/projects/', body);
  expect(answer.status, answer.text).toBe(422);
  expect(answer.json.detail[0].loc).toEqual(['body', 'name']);
});

test('tracks samples in the order they were added; set_active alone makes one active', async () => {
  const project = await createProject();
  const samples = [await createSample(), await createSample(), await createSample()] as const;
  const answer = await track(project, samples[1], true);
  expect([answer.status, answer.text]).toEqual([200, '"OK"']);
  expect(answer.headers['content-type']).toMatch(/^application\/json/);
  await track(project.toUpperCase(), samples[0].toUpperCase(), false);
  await track(project, samples[2]);
  expect(await row(project)).toMatchObject({
    physical_sample_count: 3,
    configuration: {
      tracking_physical_sample_ids: [samples[1], samples[0], samples[2]],
      active_tracking_physical_sample_id: samples[1],
    },
  });
  await track(project, samples[0], true);
  const { configuration } = await row(project);
  expect(configuration.active_tracking_physical_sample_id).toBe(samples[0]);
  expect(configuration.tracking_physical_sample_ids).toEqual([samples[1], samples[0], samples[2]]);
});

test('tracks once, however often and at once it is asked; a repetition is no change', async () => {
  const project = await createProject();
  const samples = await Promise.all(Array.from({ length: 4 }, () => createSample()));
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) => track(project, samples[i % 4] as string, i % 2 === 0)),
  );
  expect(answers.map((answer) => answer.status)).toEqual(Array(20).fill(200));
  const before = await row(project);
  expect([...before.configuration.tracking_physical_sample_ids].sort()).toEqual([...samples].sort());
  expect(samples).toContain(before.configuration.active_tracking_physical_sample_id);
  await track(project, before.configuration.active_tracking_physical_sample_id, true);
  await track(project, samples[0] as string, false);
  expect(await row(project)).toEqual(before);
  await track(project, await createSample());
  expect((await row(project)).last_updated > before.last_updated).toBe(true);
});

test('keeps the configuration object of older SDKs as it is, with every key', async () => {
  const project = await createProject();
  const text = '{"k":1,"__proto__":{"x":[null,true]},"constructor":"c","toJSON":1,"n":[0.1,-2.5e-9],"µ":{"🔬":""}}';
  const answer = await configure(project, text);
  expect([answer.status, answer.text]).toEqual([200, '"OK"']);
  const shown = await server.get(`/projects/${project}/configuration/`);
  for (const configuration of [shown.json, (await row(project)).configuration]) {
    expect(configuration.api_configuration).toEqual(JSON.parse(text));
    expect(Object.keys(configuration.api_configuration)).toContain('__proto__');
    expect(configuration.tracking_physical_sample_ids).toEqual([]);
    expect(configuration.active_tracking_physical_sample_id).toBeNull();
  }
  await configure(project, {});
  expect((await row(project)).configuration.api_configuration).toEqual({});
});

test('tracks and activates by the old flow: read the object, set the key, send it back', async () => {
  const project = await createProject();
  const sample = await createSample();
  await configure(project, { k: 1 });
  const { api_configuration } = (await row(project)).configuration;
  expect((await configure(project, { ...api_configuration, tracking_physical_sample_id: sample })).status).toBe(200);
  const before = await row(project);
  expect(before).toMatchObject({
    physical_sample_count: 1,
    configuration: {
      api_configuration: { k: 1, tracking_physical_sample_id: sample },
      tracking_physical_sample_ids: [sample],
      active_tracking_physical_sample_id: sample,
    },
  });
  await configure(project, { tracking_physical_sample_id: sample, k: 1 });
  expect(await row(project)).toEqual(before);
  await configure(project, { tracking_physical_sample_id: null, k: 2 });
  expect((await row(project)).configuration).toMatchObject({
    api_configuration: { tracking_physical_sample_id: null, k: 2 },
    active_tracking_physical_sample_id: sample,
  });
});

test.each([
  ['a list', [], ['body']],
  ['null', 'null', ['body']],
  ['a text', '"x"', ['body']],
  ['no body', undefined, ['body']],
  ['a sample that is no uuid', { tracking_physical_sample_id: 'wafer' }, ['body', 'tracking_physical_sample_id']],
  ['U+0000', { a: { b: '\0' } }, ['body', 'a', 'b']],
  ['a lone surrogate in a key', '{"a":[{"\\ud800":1}]}', ['body', 'a', 0, '\ufffd']],
  ['a number beyond float64', '{"a":-1e400}', ['body', 'a']],
  ['more than 100 levels', `${'{"a":'.repeat(101)}1${'}'.repeat(101)}`, ['body', 'a', 'a']],
])('refuses as a configuration %s', async (_what, body, loc) => {
  const project = await createProject();
  await configure(project, { kept: true });
  const answer = await configure(project, body);
  expect(answer.status, answer.text).toBe(422);
  expect(answer.json.detail[0].loc).toEqual(loc);
  expect((await row(project)).configuration.api_configuration).toEqual({ kept: true });
});

test.each([
  ['no sample', {}, 'physical_sample_id'],
  ['a null sample', { physical_sample_id: null }, 'physical_sample_id'],
  ['a malformed sample', { physical_sample_id: 'x' }, 'physical_sample_id'],
  ['set_active as a text', { physical_sample_id: randomUUID(), set_active: 'true' }, 'set_active'],
])('refuses to track %s', async (_what, body, field) => {
  const answer = await server.post(`/projects/${await createProject()}/configuration/tracking_samples`, body);
  expect(answer.status, answer.text).toBe(422);
  expect(answer.json.detail[0].loc).toEqual(['body', field]);
});

test('answers a foreign sample like an unknown one, in both flows, and changes nothing', async () => {
  const project = await createProject();
  await configure(project, { kept: true });
  const before = await row(project);
  const unknown = randomUUID();
  const foreign = await createSample('theirs', server.keys.rival);
  for (const attempt of [
    (sample: string) => track(project, sample, true),
    (sample: string) => configure(project, { kept: false, tracking_physical_sample_id: sample }),
  ]) {
    const answers = [await attempt(unknown), await attempt(foreign)] as const;
    expect(answers.map((answer) => answer.status)).toEqual([404, 404]);
    expect(answers[0].text.replace(unknown, 'ID')).toBe(answers[1].text.replace(foreign, 'ID'));
    expect(await row(project)).toEqual(before);
  }
});

test('answers a foreign project like an unknown one, on every route, and changes nothing', async () => {
  const { rival } = server.keys;
  const unknown = randomUUID();
  const foreign = await createProject('theirs', rival);
  const sample = await createSample();
  const before = await row(foreign, rival);
  expect(await row(foreign)).toBeUndefined();
  for (const attempt of [
    (project: string) => server.get(`/projects/${project}/physical_samples`),
    (project: string) => server.get(`/projects/${project}/configuration`),
    (project: string) => configure(project, { stolen: true }),
    (project: string) => track(project, sample, true),
  ]) {
    const answers = [await attempt(unknown), await attempt(foreign)] as const;
    expect(answers.map((answer) => answer.status)).toEqual([404, 404]);
    expect(answers[0].text.replace(unknown, 'ID')).toBe(answers[1].text.replace(foreign, 'ID'));
  }
  expect(await row(foreign, rival)).toEqual(before);
  expect((await server.get('/projects/', rival)).json).toEqual([before]);
});

test('lists the samples of a project as the sample list shows them, and those alone', async () => {
  const project = await createProject();
  const [first, second, other] = [await createSample(), await createSample(), await createSample()];
  expect((await server.get(`/projects/${project}/physical_samples`)).json).toEqual([]);
  await track(project, second as string, true);
  await track(project, first as string, true);
  await track(await createProject(), other as string, true);
  const answer = await server.get(`/projects/${project.toUpperCase()}/physical_samples/`);
  expect(answer.json.map((sample: Row) => sample.id)).toEqual([second, first]);
  expect((await server.get('/physical_samples/')).json).toEqual(expect.arrayContaining(answer.json));
});

test('refuses a malformed project id on every route', async () => {
  for (const answer of [
    await server.get('/projects/x/physical_samples'),
    await server.get('/projects/x/configuration'),
    await configure('x', {}),
    await track('x', randomUUID()),
  ]) {
    expect(answer.status).toBe(422);
    expect(answer.json.detail[0].loc).toEqual(['path', 'project_id']);
  }
});

test('needs a key', async () => {
  const id = randomUUID();
  expect((await server.get('/projects/', null)).status).toBe(401);
  expect((await server.post('/projects/', { name: 'x' }, null)).status).toBe(401);
  expect((await server.get(`/projects/${id}/physical_samples`, null)).status).toBe(401);
  expect((await server.get(`/projects/${id}/configuration`, null)).status).toBe(401);
  expect((await server.post(`/projects/${id}/configuration`, {}, null)).status).toBe(401);
  expect((await server.post(`/projects/${id}/configuration/tracking_samples`, {}, null)).status).toBe(401);
});
