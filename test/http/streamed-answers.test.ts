import fc from 'fast-check';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { storableTextPattern } from '../../src/http/schemas.ts';
import { ChannelsEvent, RunEvent, SeveralEvents, StatusEvent } from '../../src/live/schemas.ts';
import { type Operation, readOperations, type Schema } from '../api/properties/document.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { createStrictAnswers } from './strict-answers.ts';

/*
 * Nothing validates an answer that is written by hand, piece by piece. Here every GET route with an answer in JSON, of which
 * many stream, is asked with real and with random data, and each answer has the fields of its schema and no others.
 */

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const answers = createStrictAnswers();
const operations = new Map<string, Operation>(
  readOperations()
    .filter(({ method, answers: kinds }) => method === 'GET' && kinds.get(200)?.has('application/json'))
    .map((one) => [one.path, one]),
);
const schemaOf = (path: string) => operations.get(path)?.answers.get(200)?.get('application/json') as Schema;

let server: TestServer;
let ids: { run: string; empty: string; timeless: string; wide: string; sample: string; project: string };

const oddNames = ['p', 'a "quote" \\ and', 'µ 日本 😀\u2028', 'line\nend', 'unix_timestamp_ms', '__proto__', 'data_id'];
const start = 1_700_000_000;
const unknown = '00000000-0000-4000-8000-000000000000';

async function open(body: object = {}, prefix = '/metrology/stream'): Promise<string> {
  const answer = await server.post(`${prefix}/initialize`, { points_per_chunk: 4, ...body });
  expect(answer.status, answer.text).toBe(200);
  return answer.json.data_id;
}

interface Chunk {
  name: string;
  index: number;
  timestamps: (number | null)[];
  values: (number | null)[];
  units?: string | undefined;
}

async function store(data_id: string, { name, index, ...readings }: Chunk): Promise<void> {
  const body = { data_id, channel_name: name, chunk_index: index, ...readings };
  const answer = await server.post('/metrology/stream/chunk', body);
  expect(answer.status, answer.text).toBe(201);
}

const made = async (path: string, body: object): Promise<string> => {
  const answer = await server.post(path, body);
  expect(answer.status, answer.text).toBeLessThan(300);
  return answer.json.id ?? answer.json.data_id;
};

beforeAll(async () => {
  server = await startTestServer({ PUBLIC_URL: 'https://metrology.example' });
  const instrument = await server.post('/instruments/synthesis', { label: 'Main', name: 'V', type: 'mbe' });
  const sample = await made('/physical_samples/', { name: 'wafer', physical_sample_metadata: { cut: 'c' } });
  const project = await made('/projects/', { name: 'oxides' });
  await server.post(`/projects/${project}/configuration/tracking_samples`, { physical_sample_id: sample });
  const links = { physical_sample_id: sample, project_id: project, synth_source_id: instrument.json.id };
  const run = await open({ ...links, stream_name: 'a run' });
  const tag = await made('/tags/', { name: 'good' });
  await server.post('/tags/data-items/', { data_ids: [run], tag_ids: [tag] });
  for (const [i, name] of oddNames.entries()) {
    for (const index of [0, 1, 3, 4, 5]) {
      const timestamps = [0, 1, 2, 3].map((k) => start + 4 * index + k + i / 8);
      const units = i % 2 === 0 ? `"n"m ${i}` : undefined;
      await store(run, { name, index, timestamps, values: [1, null, -0, 1e300], units });
    }
  }
  await store(run, { name: 'p', index: 1, timestamps: [start + 5, null], values: [null, 2] });
  await server.post(`/metrology/stream/${run}/finalize`);
  await store(run, { name: 'p', index: 6, timestamps: [(start + 60) * 1_000], values: [3] });
  const empty = await open();
  const timeless = await open();
  await store(timeless, { name: 'p', index: 0, timestamps: [null, 1e300], values: [1, 2] });
  const wide = await open();
  const channels = Array.from({ length: 60 }, (_, i) => [`c${i}`, { timestamps: [start + i], values: [i] }]);
  const body = { data_id: wide, chunk_index: 0, channels: Object.fromEntries(channels) };
  expect((await server.post('/metrology/stream/chunk/multi', body)).status).toBe(201);
  ids = { run, empty, timeless, wide, sample, project };
});
afterAll(() => server?.close());

const everyStream = () => [ids.run, ids.empty, ids.timeless, ids.wide];
const ofChannel = (name: string) => encodeURIComponent(name);
const windows = [
  '',
  '?max_points=5',
  '?available_properties=true',
  `?start=${start + 6}&carry_in=true`,
  `?start=${start + 6}&end=${start + 20}&carry_in=true&max_points=4`,
  '?last_n=2',
  '?elapsed_seconds=3',
  `?property_names=p&property_names=${ofChannel(oddNames[1] as string)}`,
];
const ledgerQueries = ['', '?marks=true&content_hashes=true', '?channel_name=p&channel_name=none'];

/** What each path of a stream is asked for, behind the path. */
const queriesOf: Record<string, string[]> = {
  'timeseries/': windows,
  'statistics/': ['', `?start=${start + 6}&property_names=p`],
  'points/': oddNames.flatMap((name) =>
    ['', '&from_chunk=3&carry_in=true', '&last_n=3'].map((rest) => `?channel=${ofChannel(name)}${rest}`),
  ),
  chunks: ledgerQueries,
  certificate: [''],
  'chunks/revisions': ['', '?channel_name=p&chunk_index=1'],
  'chunks/revisions/{revision}': ['?channel_name=p&chunk_index=1'],
  latest: [''],
  'metadata/': [
    '',
    `?layout=wide&start=${start}&every=1s&fill=mean`,
    '?layout=wide&every=1s&carry_in=false&max_age=2s',
  ],
};

const queriesOfPath: Record<string, string[]> = {
  '/rheed/timeseries/{data_id}/': windows.filter((query) => !/max_points|start|available/.test(query)),
  '/data_entries/raw_data/{data_id}': ['?return_as=url-download'],
  '/data_entries/processed_data/{data_id}': ['?return_as=url-download'],
};

/** Paths that are asked as they stand, with what stands for their parameters. */
const others: Record<string, () => string[]> = {
  '/exports/metadata/': () => [`?data_ids=${ids.run}&data_ids=${ids.wide}`, `?layout=wide&data_ids=${ids.run}&start=1`],
  '/data_entries/': () => ['', `?data_ids=${ids.run}`],
  '/runs/': () => ['', '?limit=1', '?search=run'],
  '/physical_samples/': () => [''],
  '/projects/': () => [''],
  '/tags/': () => [''],
  '/instruments/synthesis': () => [''],
  '/audit/': () => [''],
  '/healthz': () => [''],
  '/readyz': () => [''],
  '/keys/': () => [''],
  '/users/': () => [''],
  '/': () => [''],
};

/** All that a path is asked for, of some streams; empty for one that this test does not know. */
function urlsOf(path: string, streams: readonly string[]): string[] {
  if (path in others) return (others[path] as () => string[])().map((query) => path + query);
  const plain = path.replace('{physical_sample_id}', ids.sample).replace('{project_id}', ids.project);
  if (plain !== path) return [plain];
  if (!path.includes('{data_id}')) return [];
  const rest = path.slice(path.indexOf('{data_id}') + '{data_id}'.length).replace(/^\//, '');
  const queries = queriesOfPath[path] ?? queriesOf[rest] ?? [''];
  return streams.flatMap((id) =>
    queries.map((query) => path.replace('{data_id}', id).replace('{revision}', '1') + query),
  );
}

/** @returns whether it was answered, and not refused */
async function ask(path: string, url: string): Promise<boolean> {
  const answer = await server.get(url);
  if (answer.status === 200) answers.check(schemaOf(path), answer.text, url);
  else expect([404, 422], `${url}: ${answer.text}`).toContain(answer.status);
  return answer.status === 200;
}

test('every GET route with an answer in JSON is asked, and all its answers have the fields of its schema alone', async () => {
  for (const path of operations.keys()) {
    let answered = 0;
    for (const url of urlsOf(path, everyStream())) if (await ask(path, url)) answered++;
    // A session is of a browser, and has no stream.
    if (path !== '/session') expect(answered, path).toBeGreaterThan(0);
  }
});

test('an unknown stream is null where that is asked for', async () => {
  for (const path of ['/metrology/{data_id}/timeseries/', '/tool-state/{data_id}/timeseries/']) {
    await ask(path, `${path.replace('{data_id}', unknown)}?return_null_if_missing=true`);
  }
});

test('no field of a streamed answer is left that none of them has had', () => {
  const written =
    /\{data_id\}\/(timeseries\/|points\/|latest)|\/(chunks|certificate|chunks\/revisions.*)$|timeseries\/\{data_id\}/;
  const paths = [...operations.keys()].filter((path) => written.test(path));
  expect(paths.length).toBeGreaterThan(18);
  expect(paths.flatMap((path) => answers.unseen(schemaOf(path), path))).toEqual([]);
});

const time = fc.oneof(
  fc.integer({ min: 0, max: 50 }).map((k) => start + k / 4),
  fc.constantFrom(null, 0, -1e300, 8.64e12),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);
const value = fc.oneof(fc.constantFrom(null, -0, 5e-324, 1.7e308), fc.double({ noNaN: true, noDefaultInfinity: true }));
const storable = new RegExp(storableTextPattern, 'u');
const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }).filter((one) => storable.test(one));
const chunk = fc.array(fc.tuple(time, value), { minLength: 1, maxLength: 4 }).chain((points) =>
  fc.record({
    name: fc.constantFrom(0, 1, 2),
    index: fc.oneof(fc.integer({ min: 0, max: 6 }), fc.constant(1_000_000)),
    timestamps: fc.constant(points.map(([one]) => one)),
    values: fc.constant(points.map(([, one]) => one)),
    units: fc.option(text, { nil: undefined }),
  }),
);

test('of random data too: gaps, nulls, contents that were replaced, odd names', async () => {
  const run = fc.record({
    names: fc.uniqueArray(text, { minLength: 3, maxLength: 3 }),
    chunks: fc.array(chunk, { maxLength: 12 }),
    isFinalized: fc.boolean(),
  });
  const paths = [...operations.keys()].filter((path) => path.includes('{data_id}'));
  await fc.assert(
    fc.asyncProperty(run, async ({ names, chunks, isFinalized }) => {
      const id = await open();
      for (const one of chunks) await store(id, { ...one, name: names[one.name] as string });
      if (isFinalized) await server.post(`/metrology/stream/${id}/finalize`);
      for (const path of paths) {
        for (const url of urlsOf(path, [id])) await ask(path, url);
      }
      for (const name of names) {
        await ask('/metrology/{data_id}/points/', `/metrology/${id}/points/?channel=${ofChannel(name)}`);
      }
    }),
    { numRuns: 8 },
  );
});

/** The events of an answer in text/event-stream. */
const eventsOf = (text: string) =>
  [...text.matchAll(/^event: (\w+)\ndata: ([^\n]*)$/gm)].map(([, name, data]) => ({
    name: name as 'channels' | 'run' | 'status',
    data: data as string,
  }));

test('events have the fields of their schemas alone, and the documentation of the routes names each', async () => {
  const events = { channels: ChannelsEvent, run: RunEvent, status: StatusEvent };
  const seen = new Set<string>();
  const urls = [
    ...everyStream().map((id) => `/metrology/${id}/live?max_seconds=0`),
    `/live?max_seconds=0&data_id=${ids.run}&data_id=${unknown}`,
    '/live?max_seconds=0',
  ];
  for (const url of urls) {
    const answer = await server.get(url);
    expect(answer.status, url).toBe(200);
    for (const { name, data } of eventsOf(answer.text)) {
      answers.check(events[name] as Schema, data, url);
      seen.add(name);
    }
  }
  expect([...seen].sort()).toEqual(Object.keys(events).sort());
  const { description } = SeveralEvents as { description: string };
  const named = [ChannelsEvent, RunEvent, StatusEvent, ChannelsEvent.properties.channels.items];
  for (const name of named.flatMap(({ properties }) => Object.keys(properties))) {
    expect(description).toContain(`"${name}"`);
  }
  const left = Object.entries(events).flatMap(([name, schema]) => answers.unseen(schema as Schema, name));
  expect(left).toEqual([]);
});
