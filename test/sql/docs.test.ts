import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { chunkBody, openStream } from '../streams/support/chunks.ts';
import { storeAsSent } from '../support/as-sent.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { openReaders, type Reader } from './support/readers.ts';

let server: TestServer;
let reader: Reader;
let closeReaders: () => Promise<void>;
let dataId: string;
const queriesOf = (fence: string) =>
  [...readFileSync('docs/sql.md', 'utf8').matchAll(/^```(.*?)\n(.*?)^```/gms)]
    .filter(([, one]) => one === fence)
    .map(([, , text]) => text as string);
const queries = queriesOf('sql');

beforeAll(async () => {
  server = await startTestServer();
  const opened = await openReaders(server, ['lab']);
  reader = opened.readers.lab;
  closeReaders = opened.close;
  const idOf = async (path: string, name: string) => (await server.post(path, { name })).json.id;
  dataId = await openStream(server, {
    stream_name: 'Run 7',
    physical_sample_id: await idOf('/physical_samples/', 'Wafer 7'),
    project_id: await idOf('/projects/', 'Nitrides'),
  });
  await server.post('/tags/data-items/', { data_ids: [dataId], tag_ids: [await idOf('/tags/', 'hot')] });
  const at = Date.parse('2026-01-31T08:00:00Z') / 1_000;
  const chunks = [
    chunkBody(dataId, 0, "O'Ring", [1, 5, 3], { timestamps: [at - 1, at, at + 10] }),
    chunkBody(dataId, 0, 'T', [7, null, 9], { timestamps: [at + 11, at + 19, at + 20] }),
    chunkBody(dataId, 0, 'not chosen', [1], { timestamps: [at] }),
  ];
  for (const chunk of chunks) await server.post('/tool-state/stream/chunk', chunk);
});
afterAll(async () => {
  await closeReaders?.();
  await server.close();
});

/** What Grafana sends for a query of the docs, for a window of 19 seconds and an interval of ten. */
function substituted(query: string): string {
  return query
    .replaceAll('00000000-0000-4000-8000-000000000000', dataId)
    .replaceAll(/\$\{stream\}/g, dataId)
    .replaceAll(/\$\{channels:sqlstring\}/g, "'O''Ring','T'")
    .replaceAll('$__timeFrom()', "'2026-01-31T08:00:00Z'")
    .replaceAll('$__timeTo()', "'2026-01-31T08:00:19Z'")
    .replaceAll(/\$__timeGroupAlias\(([^,]+), \$__interval\)/g, 'floor(extract(epoch from $1)/10)*10 AS "time"');
}

const at = (second: number) => new Date(Date.UTC(2026, 0, 31, 8, 0, second));

test('every query of docs/sql.md runs, and shows what it says', async () => {
  const answers: unknown[] = [];
  for (const query of queries) {
    const text = substituted(query);
    expect(text).not.toContain('$');
    answers.push(await reader.query(text));
  }
  const [counts, chosen, streams, channels, series, extremes] = answers;
  expect(counts).toContainEqual({ channel_name: 'T', count: '2', avg: 8 });
  expect(chosen).toEqual(
    ["O'Ring", 'T', 'not chosen'].map((channel_name) => ({
      stream_name: 'Run 7',
      channel_name,
      point_count: channel_name === 'not chosen' ? '1' : '3',
    })),
  );
  expect(streams).toEqual([{ __text: expect.stringMatching(/^Run 7 20\d\d-/), __value: dataId }]);
  expect(channels).toEqual(["O'Ring", 'T', 'not chosen'].map((channel_name) => ({ channel_name })));
  expect(series).toEqual([
    { time: at(0), metric: "O'Ring", value: 5 },
    { time: at(10), metric: "O'Ring", value: 3 },
    { time: at(11), metric: 'T', value: 7 },
    { time: at(19), metric: 'T', value: null },
  ]);
  const start = String(at(0).getTime() / 1_000);
  const later = String(at(10).getTime() / 1_000);
  expect(extremes).toHaveLength(3);
  expect(extremes).toEqual(
    expect.arrayContaining([
      { time: start, metric: "O'Ring", low: 5, high: 5 },
      { time: later, metric: "O'Ring", low: 3, high: 3 },
      { time: later, metric: 'T', low: 7, high: 7 },
    ]),
  );
});

test('the query for the owner of the tables shows the points of packed series and of those as they were sent', async () => {
  const [query] = queriesOf('sql as owner');
  const ask = async () => (await server.owner.pool.query(substituted(query as string))).rows;
  const packed = await ask();
  expect(packed.map(({ value }) => value)).toEqual([1, 5, 3, 7, null, 9, 1]);
  await storeAsSent(server.owner);
  expect(await ask()).toEqual(packed);
});
