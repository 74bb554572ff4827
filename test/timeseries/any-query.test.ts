import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/test-server.ts';

/* Whatever stands in a query: a documented status, and an answer that is whole JSON. */

interface Operation {
  responses: object;
  parameters: { name: string; in: string }[];
}

let server: TestServer;
let dataId: string;
let paths: Record<string, { get: Operation }>;
beforeAll(async () => {
  server = await startTestServer();
  await server.app.ready();
  ({ paths } = server.app.swagger() as unknown as { paths: typeof paths });
  dataId = (await server.post('/metrology/stream/initialize', { points_per_chunk: 3 })).json.data_id;
  const timestamps = [1705312200, 1705312200.0004, null, -1e300, 8.64e12, 5e-324];
  const channels = {
    p: { timestamps, values: [1, -0, 5e-324, 1.7e308, null, 2] },
    µ: { timestamps: [1], values: [1] },
  };
  const body = { data_id: dataId, chunk_index: 0, channels };
  expect((await server.post('/metrology/stream/chunk/multi', body)).status).toBe(201);
});
afterAll(() => server.close());

const value = fc.oneof(
  fc.constantFrom('', '0', '1', '4', '-1', '1e3', '1e999', '-0', 'NaN', 'null', 'True', 'false', 'p', 'µ', '\u0000'),
  fc.constantFrom('1705312200', '2024-01-15', '2024-01-15T09:50:00.0004Z', '0001-01-01', '9999-12-31T23:59:60Z'),
  fc.constantFrom(
    '9007199254740992',
    '99999999999999999999',
    '1e300',
    '5e-324',
    '%',
    '+',
    '[]',
    "'; drop table chunks",
  ),
  fc.double().map(String),
  fc.maxSafeInteger().map(String),
  fc.string({ unit: 'binary', maxLength: 10 }),
);

test.each([
  '/metrology/{data_id}/timeseries/',
  '/tool-state/{data_id}/timeseries/',
  '/rheed/timeseries/{data_id}/',
  '/metrology/{data_id}/points/',
  '/metrology/stream/{data_id}/chunks',
  '/metrology/stream/{data_id}/certificate',
  '/exports/{data_id}/',
  '/exports/{data_id}/metadata/',
  '/data_entries/',
])('%s', async (path) => {
  const { parameters, responses } = (paths[path] as { get: Operation }).get;
  const names = parameters.filter((one) => one.in === 'query').map((one) => one.name);
  const query = fc.array(fc.tuple(fc.constantFrom(...names, 'other'), value), { maxLength: 3 });
  const seen = new Set<number>();
  const property = fc.asyncProperty(query, async (pairs) => {
    const url = `${path.replace('{data_id}', dataId)}?${new URLSearchParams(pairs)}`;
    const { status, text, json, headers } = await server.get(url);
    seen.add(status);
    expect(Object.keys(responses), `${url} ${text}`).toContain(String(status));
    expect(status, text).toBeLessThan(500);
    if (/json/.test(String(headers['content-type']))) expect(json, text).toBeDefined();
  });
  // Chance alone might leave out what is taken, or what is refused.
  const sure = names.flatMap((name) => [[[name, 'p']], [[name, '\u0000']]] as [string, string][][]);
  await fc.assert(property, { numRuns: 40 + sure.length, examples: [[], ...sure].map((pairs) => [pairs]) });
  expect(seen).toContain(200);
  if (names.length > 0) expect(seen).toContain(422);
});
