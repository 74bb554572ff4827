import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/test-server.ts';

/* Writes of the catalogue that reach several nodes at once: each is whole, whoever else writes. */

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
}, 120_000);
afterAll(() => server?.close());

async function made(url: string, body: object) {
  const { status, json, text } = await server.post(url, body);
  expect(status, text).toBeLessThan(300);
  return json;
}

const open = async (more: object = {}): Promise<string> =>
  (await made('/metrology/stream/initialize', { points_per_chunk: 1, stream_name: 'run', ...more })).data_id;

test('many who put and take tags of the same runs wait for each other, and all are done', async () => {
  const dataIds = await Promise.all(Array.from({ length: 16 }, () => open()));
  const tags = await Promise.all(['a', 'b', 'c', 'd'].map(async (name) => (await made('/tags/', { name })).id));
  const reversed = [...dataIds].reverse();
  const links = tags.map((id, i) => ({ data_ids: i % 2 === 0 ? dataIds : reversed, tag_ids: [id] }));
  const answers = await Promise.all(links.map((link) => made('/tags/data-items/', link)));
  expect(answers.map(({ associations_created }) => associations_created)).toEqual([16, 16, 16, 16]);
  const removed = server.send('DELETE', `/tags/data-items/?data_ids=${dataIds.join('&data_ids=')}&tag_ids=${tags[0]}`);
  await Promise.all([removed, made('/tags/data-items/', { data_ids: reversed, tag_ids: tags })]);
  const entries = (await server.get(`/data_entries/?data_ids=${dataIds.join('&data_ids=')}`)).json;
  // Either came first, for all runs alike.
  expect(new Set(entries.map((entry: { tags: string[] }) => entry.tags.join())).size).toBe(1);
});

test('a sample is linked to runs on several nodes, or to none', async () => {
  const { id: physical_sample_id } = await made('/physical_samples/', { name: 'wafer' });
  const data_ids = await Promise.all(Array.from({ length: 12 }, () => open()));
  const unknown = '00000000-0000-4000-8000-000000000001';
  const url = '/data_entries/physical_sample';
  expect((await server.post(url, { data_ids: [...data_ids, unknown], physical_sample_id })).status).toBe(404);
  const found = async () => (await server.get(`/data_entries/?physical_sample_ids=${physical_sample_id}`)).json.length;
  expect(await found()).toBe(0);
  const twice = [data_ids, [...data_ids].reverse()];
  await Promise.all(twice.map((ids) => made(url, { data_ids: ids, physical_sample_id })));
  expect(await found()).toBe(12);
});

test('a project goes while runs are opened in it, and no run names a project that is gone', async () => {
  const { id: project_id } = await made('/projects/', { name: 'short' });
  const { id: physical_sample_id } = await made('/physical_samples/', { name: 'of the project' });
  await Promise.all(Array.from({ length: 12 }, () => open({ project_id, physical_sample_id })));
  const opened = Array.from({ length: 12 }, () =>
    server.post('/metrology/stream/initialize', { points_per_chunk: 1, project_id, physical_sample_id }),
  );
  const removed = await server.send('DELETE', `/projects/${project_id}`);
  expect(removed.status, removed.text).toBeLessThan(300);
  for (const { status, text } of await Promise.all(opened)) expect([200, 201, 404], text).toContain(status);
  const { rows } = await server.owner.pool.query('select project_id from streams where project_id is not null');
  expect(rows).toEqual([]);
  expect((await server.get(`/projects/${project_id}/configuration`)).status).toBe(404);
});
