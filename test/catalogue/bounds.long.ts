import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { catalogueLimits } from '../../src/catalogue/limits.ts';
import { type Answer, startTestServer, type TestServer } from '../support/test-server.ts';

/* What a client can make large is bounded; what is stored already, however large, never makes a list fail. */

const small = {
  searchPageEntriesMax: 7,
  listPageRowsMax: 3,
  documentBytesMax: 5_000,
  tagLinksMax: 12,
  entryTagsMax: 4,
  sampleProjectsMax: 2,
  projectSamplesMax: 3,
};
let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ BODY_LIMIT_BYTES: 64 * 1024 * 1024 }, { catalogue: small });
});
afterAll(async () => {
  await server?.close();
});

const open = async (stream_name: string, links = {}): Promise<string> => {
  const body = { points_per_chunk: 1, stream_name, ...links };
  return (await server.post('/metrology/stream/initialize', body)).json.data_id;
};
const make = async (path: string, name: string): Promise<string> => (await server.post(path, { name })).json.id;
const detailOf = ({ json }: Answer) => json.detail[0]?.msg ?? json.detail;

describe('lists and searches', () => {
  test('of many pages have every row once, in order, and nothing of others', async () => {
    const names = Array.from({ length: 23 }, (_, i) => `paged ${String(i).padStart(2, '0')}`);
    const ids: string[] = [];
    for (const name of names) ids.push(await open(name));
    // Ties of one moment are in the order of their ids.
    await server.owner.pool.query(
      `update streams set created_at = date_trunc('hour', created_at) where data_id = any($1::uuid[])`,
      [ids.slice(5, 17)],
    );
    const { json } = await server.get('/data_entries/?keywords=paged&include_orphans=true');
    expect(new Set(json.map((row: { data_id: string }) => row.data_id))).toEqual(new Set(ids));
    expect(json).toHaveLength(23);
    const places = json.map((row: { data_id: string; upload_datetime: string }) => [row.upload_datetime, row.data_id]);
    const sorted = [...places].sort(([a, i], [b, k]) => (a === b ? (i < k ? -1 : 1) : Date.parse(b) - Date.parse(a)));
    expect(places).toEqual(sorted);
    for (const path of ['/projects/', '/tags/', '/physical_samples/']) {
      for (const name of names.slice(0, 10)) await make(path, name);
      const listed = (await server.get(path)).json.map((row: { name: string }) => row.name);
      expect(listed.filter((name: string) => name.startsWith('paged')).sort()).toEqual(names.slice(0, 10));
      expect(new Set(listed).size).toBe(listed.length);
      expect((await server.get(path, server.keys.rival)).json).toEqual([]);
    }
    for (const label of names.slice(0, 7)) await server.post('/instruments/synthesis/', { label, type: 'mbe' });
    expect((await server.get('/instruments/synthesis/')).json).toHaveLength(7);
    expect((await server.get('/data_entries/', server.keys.rival)).text).toBe('[]');
  });

  test('a keyword is not found across two texts of a row, whatever it is made of', async () => {
    const id = await open('left');
    const found = async (keyword: string) =>
      (await server.get(`/data_entries/?data_ids=${id}&keywords=${encodeURIComponent(keyword)}`)).json.length;
    // The next text of the row is the name of who opened it.
    for (const separator of ['', '\u0001', '\ue000', '\ue000\ue001', '\ue001'])
      expect([separator, await found(`left${separator}ada`)]).toEqual([separator, 0]);
    // These end a word.
    for (const separator of [' ', '\n', '\u00a0'])
      expect([separator, await found(`left${separator}ada`)]).toEqual([separator, 1]);
    expect(await found('\ue000')).toBe(0);
    expect(await found('LEFT')).toBe(1);
    const strange = await open('a \ue000 b');
    expect((await server.get(`/data_entries/?data_ids=${strange}&keywords=%EE%80%80`)).json).toHaveLength(1);
  });

  test.each([
    ['keywords', catalogueLimits.searchKeywordsMax, () => 'x'],
    ['data_ids', catalogueLimits.searchIdsMax, (i: number) => `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`],
  ])('%s: at most %i', async (name, most, one) => {
    const url = (count: number) =>
      `/data_entries/?${Array.from({ length: count }, (_, i) => `${name}=${one(i)}`).join('&')}`;
    expect((await server.get(url(most))).status).toBe(200);
    const refused = await server.get(url(most + 1));
    expect(refused.status).toBe(422);
    expect(detailOf(refused)).toContain(`${most} items`);
  });
});

describe('documents of a client', () => {
  const large = (bytes: number) => ({ notes: 'x'.repeat(bytes) });

  test('are refused over documentBytesMax, with that number, and nothing changes', async () => {
    const project = await make('/projects/', 'documents');
    const url = `/projects/${project}/configuration`;
    const exact = small.documentBytesMax - '{"notes":""}'.length;
    expect((await server.post(url, large(exact))).status).toBe(200);
    const sample = { name: 'documents', physical_sample_metadata: large(exact + 1) };
    const { json } = await server.post('/physical_samples/', { name: 'without' });
    for (const refused of [
      await server.post(url, large(exact + 1)),
      await server.post('/physical_samples/', sample),
      await server.send('PATCH', `/physical_samples/${json.id}`, { physical_sample_metadata: large(exact + 1) }),
    ]) {
      expect(refused.status).toBe(422);
      expect(detailOf(refused)).toBe('the document must not be larger than 5000 bytes as JSON; this one has 5001');
    }
    expect((await server.get(url)).json.api_configuration).toEqual(large(exact));
  });

  test('of earlier releases, of any size, are listed whole, and the lists stay answerable', async () => {
    const kept = { '"api_configuration":null': '"physical_sample_metadata":null' };
    for (let i = 0; i < 5; i++) {
      const name = `"api_configuration":null ${i}`;
      const project = await make('/projects/', name);
      const sample = await make('/physical_samples/', name);
      const document = JSON.stringify({ ...kept, list: Array.from({ length: i * 300_000 }, () => ({})) });
      await server.owner.pool.query('update projects set api_configuration = $2::jsonb where project_id = $1::uuid', [
        project,
        document,
      ]);
      await server.owner.pool.query(
        'update physical_samples set physical_sample_metadata = $2::jsonb where physical_sample_id = $1::uuid',
        [sample, document],
      );
    }
    const projects = await server.get('/projects/');
    const samples = await server.get('/physical_samples/');
    expect([projects.status, samples.status]).toEqual([200, 200]);
    for (let i = 0; i < 5; i++) {
      const named = (row: { name: string }) => row.name === `"api_configuration":null ${i}`;
      const { configuration } = projects.json.find(named);
      const metadata = samples.json.find(named).physical_sample_metadata;
      for (const { list, ...others } of [configuration.api_configuration, metadata]) {
        expect(others).toEqual(kept);
        expect(list).toHaveLength(i * 300_000);
      }
    }
  }, 60_000);
});

describe('links', () => {
  test('data ids × tags: at most tagLinksMax, and entryTagsMax of one entry', async () => {
    const data_ids = await Promise.all(['l1', 'l2', 'l3', 'l4'].map((name) => open(name)));
    const tag_ids = await Promise.all(['t1', 't2', 't3', 't4', 't5'].map((name) => make('/tags/', name)));
    const link = (entries: number, tags: number) =>
      server.post('/tags/data-items/', { data_ids: data_ids.slice(0, entries), tag_ids: tag_ids.slice(0, tags) });
    const refused = await link(3, 5);
    expect(refused.status).toBe(422);
    expect(detailOf(refused)).toBe('data_ids × tag_ids must not be more than 12 links; these are 15');
    expect((await link(4, 3)).json.associations_created).toBe(12);
    expect((await link(1, 4)).json.associations_created).toBe(1);
    const crowded = await link(2, 5);
    expect([crowded.status, crowded.json.detail]).toEqual([
      409,
      expect.stringContaining('would have more than 4 tags'),
    ]);
    const { rows } = await server.owner.pool.query('select count(*)::int as links from stream_tags');
    expect(rows[0].links).toBe(13);
  });

  test('a sample has at most sampleProjectsMax projects, a project at most projectSamplesMax samples', async () => {
    const track = (project: string, physical_sample_id: string) =>
      server.post(`/projects/${project}/configuration/tracking_samples`, { physical_sample_id });
    const projects = await Promise.all(['m1', 'm2', 'm3'].map((name) => make('/projects/', name)));
    const samples = await Promise.all(['s1', 's2', 's3', 's4'].map((name) => make('/physical_samples/', name)));
    const [first, second, third] = projects as [string, string, string];
    for (const sample of samples.slice(0, 3)) expect((await track(first, sample)).status).toBe(200);
    expect((await track(first, samples[0] as string)).status).toBe(200);
    const full = await track(first, samples[3] as string);
    expect([full.status, full.json.detail]).toEqual([409, 'A project has at most 3 samples.']);
    expect((await track(second, samples[0] as string)).status).toBe(200);
    const many = await track(third, samples[0] as string);
    expect([many.status, many.json.detail]).toEqual([409, 'A sample has at most 2 projects.']);
    expect((await server.get(`/projects/${first}/physical_samples`)).json).toHaveLength(3);
    // Nor does a stream that is opened with both make one a member of the other.
    const opened = async (project_id: string, physical_sample_id: string | undefined) => {
      const { status, json } = await server.post('/metrology/stream/initialize', {
        points_per_chunk: 1,
        project_id,
        physical_sample_id,
      });
      return [status, json.detail];
    };
    expect(await opened(first, samples[3])).toEqual([
      409,
      'A project has at most 3 samples (projectSamplesMax); no stream was opened.',
    ]);
    expect(await opened(third, samples[0])).toEqual([
      409,
      'A sample has at most 2 projects (sampleProjectsMax); no stream was opened.',
    ]);
    for (const sample of [samples[0], undefined]) expect(await opened(first, sample)).toEqual([200, undefined]);
    expect(await opened(third, samples[3])).toEqual([200, undefined]);
    expect((await server.get(`/projects/${first}/physical_samples`)).json).toHaveLength(3);
  });
});

describe('DELETE /projects/{id}', () => {
  test('takes the project away; its samples and streams stay and belong to it no more', async () => {
    const project_id = await make('/projects/', 'to delete');
    const physical_sample_id = await make('/physical_samples/', 'stays');
    const ids = [];
    for (let i = 0; i < 8; i++) ids.push(await open(`of a project ${i}`, { project_id, physical_sample_id }));
    await server.post(`/projects/${project_id}/configuration`, { tracking_physical_sample_id: physical_sample_id });
    expect((await server.send('DELETE', `/projects/${project_id}`, undefined, server.keys.rival)).status).toBe(404);
    expect(await server.send('DELETE', `/projects/${project_id}`)).toMatchObject({ status: 200, json: 'OK' });
    expect((await server.send('DELETE', `/projects/${project_id}`)).status).toBe(404);
    expect((await server.get(`/projects/${project_id}/configuration`)).status).toBe(404);
    const query = ids.map((id) => `data_ids=${id}`).join('&');
    const rows = (await server.get(`/data_entries/?${query}`)).json;
    expect(rows).toHaveLength(8);
    for (const row of rows) expect(row).toMatchObject({ projects: [], physical_sample_id });
    expect(await make('/projects/', 'to delete')).not.toBe(project_id);
  });

  test('while streams are opened in it: each of them is there afterwards, and none of them fails but by 404 or 409', async () => {
    const project_id = await make('/projects/', 'busy');
    const opening = Array.from({ length: 30 }, (_, i) =>
      server.post('/metrology/stream/initialize', { points_per_chunk: 1, stream_name: `busy ${i}`, project_id }),
    );
    const deleted = await server.send('DELETE', `/projects/${project_id}`);
    expect(deleted.status).toBe(200);
    const opened = await Promise.all(opening);
    expect(opened.map(({ status }) => status).filter((status) => ![200, 404, 409].includes(status))).toEqual([]);
    for (const { status, json } of opened) {
      if (status !== 200) continue;
      expect((await server.get(`/data_entries/?data_ids=${json.data_id}`)).json).toMatchObject([{ projects: [] }]);
    }
  });
});
