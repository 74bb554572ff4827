import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { nextDeletedEntries } from '../../src/catalogue/data-entries/deleted-store.ts';
import { spread } from '../support/global-setup.ts';
import {
  copyDatabase,
  joinTestServer,
  nameOfDatabase,
  serveTestDatabase,
  type TestServer,
} from '../support/test-server.ts';
import { type Catalogued, fillCatalogue, spreadOverDays } from './support/catalogued.ts';

/* The same rows on one PostgreSQL and on a cluster: every list must give the same answers, in the same order and pages. */

let single: TestServer;
let cluster: TestServer;
let made: Catalogued;
/** Small pages, so that each list has several. */
const limits = {
  catalogue: {
    listPageRowsMax: 3,
    searchPageEntriesMax: 7,
    runsLookMax: 10,
    runsDescribedMax: 4,
    documentInlineBytesMax: 100,
  },
};

beforeAll(async () => {
  const filled = await serveTestDatabase(await copyDatabase(inject('templateName')));
  made = await fillCatalogue(filled);
  await spreadOverDays(filled);
  await filled.close();
  const databaseUrl = await copyDatabase(nameOfDatabase(filled.databaseUrl));
  await spread(inject('adminUrl'), inject('workerUrls'), nameOfDatabase(databaseUrl));
  single = await joinTestServer(filled, {}, undefined, limits);
  cluster = await joinTestServer({ databaseUrl, keys: filled.keys }, {}, undefined, limits);
}, 300_000);
afterAll(() => Promise.all([single?.close(), cluster?.close()]));

/** Keys note when they were last used. */
const comparable = (text: string) => text.replaceAll(/"last_used_at":("[^"]*"|null)/g, '');

/** Asks both servers. @returns the paths whose answers differ, and how many rows were answered */
async function compare(paths: readonly string[], key: 'ada' | 'grace' | 'rival' = 'ada') {
  const differing: string[] = [];
  let rows = 0;
  for (const path of paths) {
    const [one, other] = await Promise.all([single, cluster].map((server) => server.get(path, server.keys[key])));
    const isGood = one?.status === 200 || (key === 'rival' && one?.status === 404);
    if (!isGood || one?.status !== other?.status || comparable(one.text) !== comparable(other.text))
      differing.push(
        `${path}\n${one?.status} ${one?.text.slice(0, 500)}\n${other?.status} ${other?.text.slice(0, 500)}`,
      );
    rows += Array.isArray(one?.json) ? one.json.length : 1;
  }
  return { differing, rows };
}

const words = [
  ...['run', 'RUN 1', 'glühen', 'Glu\u0308hen', 'GLÜHEN run', 'wafer', 'ss', 'gan', 'ärger', 'übung growth', 'druck'],
  ...['pressure', 'ada', 'grace', 'annealing', 'mbe', 'öfen', 'nothing of that', 'live druck'],
];

test('a search for entries', async () => {
  const { data, samples, projects } = made;
  const ids = [data[0], samples[1], projects[0]].map((id) => `keywords=${id?.slice(0, 13)}`);
  const filters = [
    ...['', 'include_orphans=true', 'include_organization_data=false', 'data_type=tool_state', 'data_type=rheed_image'],
    ...['success', 'stream_active', 'stream_interrupted', 'error', 'all'].map((status) => `status=${status}`),
    ...samples.map((id) => `physical_sample_ids=${id}`),
    ...projects.map((id) => `project_ids=${id}`),
    ...[
      `project_ids=${projects[0]}&project_ids=${projects[1]}&status=success`,
      `data_ids=${data.slice(0, 20).join('&data_ids=')}`,
    ],
    ...['growth_length_min=2', 'growth_length_max=3.5', 'growth_length_min=1&growth_length_max=2'],
    ...['upload_datetime_min=2026-01-04', 'upload_datetime_max=2026-01-09 00:00:00', 'last_updated_min=2026-03-03'],
    ...['last_updated_max=2026-02-03', 'last_accessed_datetime_min=2026-03-20&upload_datetime_max=2026-01-05'],
    ...words.map((word) => `keywords=${encodeURIComponent(word)}`),
    ...[
      ...ids,
      'keywords=druck&keywords=annealing&include_orphans=true',
      `keywords=run&physical_sample_ids=${samples[0]}`,
    ],
  ];
  const paths = filters.map((filter) => `/data_entries/?${filter}`);
  for (const key of ['ada', 'grace', 'rival'] as const) {
    const { differing, rows } = await compare(paths, key);
    expect(differing).toEqual([]);
    expect(rows).toBeGreaterThan(key === 'rival' ? 300 : 500);
  }
}, 300_000);

test('the list of runs, page by page', async () => {
  const { data, samples, projects, tags, instruments } = made;
  const filters = [
    ...['', 'limit=1', 'limit=5', 'limit=100', 'status=live', 'status=ended', 'status=ended&limit=3'],
    ...[...samples.map((id) => `sample_id=${id}`), ...projects.map((id) => `project_id=${id}`)],
    ...[`sample_id=${samples[0]}&sample_id=${samples[2]}&limit=4`, `project_id=${projects[1]}&tag=${tags[0]}`],
    ...[...tags, 'growth', 'ÜBUNG', 'u\u0308bung', 'no such tag'].map((tag) => `tag=${encodeURIComponent(tag)}`),
    ...[...instruments, 'MBE', 'öfen'].map((instrument) => `instrument=${encodeURIComponent(instrument)}`),
    ...['user=grace', 'user=ADA&user=grace&limit=7', `user=ada&tag=growth&status=ended`],
    ...words.map((word) => `search=${encodeURIComponent(word)}&limit=4`),
    ...[
      `search=${data[3]?.slice(0, 9)}`,
      `search=${projects[0]?.slice(0, 13)}`,
      `search=druck&tag=growth&status=ended`,
    ],
  ];
  for (const filter of filters) {
    let cursor = '';
    let pages = 0;
    do {
      const path = `/runs/?${filter}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`;
      expect((await compare([path])).differing).toEqual([]);
      cursor = (await cluster.get(path)).json.next_cursor ?? '';
      pages++;
    } while (cursor !== '' && pages < 60);
    if (filter === 'limit=1') expect(pages).toBeGreaterThan(30);
  }
}, 300_000);

test('samples, projects, tags, instruments, people and what is deleted', async () => {
  const { samples, projects } = made;
  const paths = [
    ...[
      '',
      'has_data_item=true',
      'has_data_item=false',
      `physical_sample_id=${samples[2]}`,
      `project_id=${projects[0]}`,
    ].map((filter) => `/physical_samples/?${filter}`),
    ...samples.map((id) => `/physical_samples/${id}/timeseries/`),
    ...projects.flatMap((id) => [`/projects/${id}/configuration`, `/projects/${id}/physical_samples`]),
    ...['/projects/', '/tags/', '/instruments/synthesis/', '/users/', '/keys/', '/audit/', '/audit/?limit=5'],
    '/session',
  ];
  for (const key of ['ada', 'rival'] as const) expect((await compare(paths, key)).differing).toEqual([]);
  const { rows } = await single.owner.pool.query(`select organization_id from organizations where name = 'lab'`);
  const deleted = ({ database }: TestServer) => nextDeletedEntries(database.as(rows[0].organization_id), undefined, 50);
  expect(await deleted(cluster)).toEqual(await deleted(single));
  expect(await deleted(single)).toHaveLength(4);
}, 120_000);
