import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { chunkBody, openStream } from '../streams/support/chunks.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

/* A deleted entry is answered like an unknown one by every route of the OpenAPI document that names it. */

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

interface Operation {
  parameters?: { name: string; in: string }[];
}
const { paths } = parse(readFileSync(new URL('../../openapi.yaml', import.meta.url), 'utf8')) as {
  paths: Record<string, Record<string, Operation>>;
};
const operations = Object.entries(paths).flatMap(([path, methods]) =>
  Object.keys(methods).map((method) => [method.toUpperCase(), path] as const),
);
const named = operations.filter(([, path]) => path.includes('{data_id}'));

/** What some of them need. */
const query = { channel: 't', channel_name: 't', chunk_index: '0', return_as: 'url-download', max_seconds: '0' };
const bodies: Record<string, object> = {
  'POST /metrology/stream/{data_id}/chunks/restore': { channel_name: 't', chunk_index: 0, revision: 1 },
  'PATCH /data_entries/{data_id}': { raw_name: 'another name' },
};

function ask(method: string, path: string, dataId: string) {
  const { parameters = [] } = paths[path]?.[method.toLowerCase()] ?? {};
  const taken = Object.entries(query).filter(([name]) =>
    parameters.some((one) => one.in === 'query' && one.name === name),
  );
  const url = `${path.replace('{data_id}', dataId).replace('{revision}', '1')}?${new URLSearchParams(taken)}`;
  const body =
    bodies[`${method} ${path.replace(/^\/(tool-state\/stream|instrument-timeseries)/, '/metrology/stream')}`];
  return server.send(method, url, body);
}

test('the routes that name an entry are found', () => {
  expect(named.length).toBeGreaterThan(25);
});

test.each(named)('%s %s', async (method, path) => {
  const dataId = await openStream(server);
  for (const values of [[1], [2]]) await server.post('/tool-state/stream/chunk', chunkBody(dataId, 0, 't', values));
  expect((await ask(method, path, dataId)).status).toBeLessThan(300);
  await server.send('DELETE', `/data_entries/?data_ids=${dataId}`);
  const unknown = randomUUID();
  const [gone, never] = [await ask(method, path, dataId), await ask(method, path, unknown)];
  expect([gone.status, gone.text]).toEqual([404, never.text.replace(unknown, dataId)]);
});

test.each([
  ['GET', '/exports/?data_ids=ID', undefined],
  ['GET', '/exports/metadata?data_ids=ID', undefined],
  ['GET', '/data_entries/?data_ids=ID&include_orphans=true', undefined],
  ['DELETE', '/data_entries/?data_ids=ID', undefined],
  ['POST', '/tags/data-items/', (id: string, tag: string) => ({ data_ids: [id], tag_ids: [tag] })],
  ['DELETE', '/tags/data-items/?data_ids=ID&tag_ids=TAG', undefined],
  ['POST', '/tool-state/stream/chunk', (id: string) => chunkBody(id, 0, 't', [2])],
  [
    'POST',
    '/data_entries/physical_sample',
    (id: string, _: string, physical_sample_id: string) => ({ data_ids: [id], physical_sample_id }),
  ],
] as const)('%s %s', async (method, url, body) => {
  const tag = (await server.post('/tags/', { name: randomUUID() })).json.id;
  const sample = (await server.post('/physical_samples/', { name: randomUUID() })).json.id;
  const dataId = await openStream(server);
  await server.post('/tool-state/stream/chunk', chunkBody(dataId, 0, 't', [2]));
  await server.send('DELETE', `/data_entries/?data_ids=${dataId}`);
  const unknown = randomUUID();
  const [gone, never] = [dataId, unknown].map((id) =>
    server.send(method, url.replace('ID', id), body?.(id, tag, sample)),
  );
  expect((await gone)?.status).toBe((await never)?.status);
  expect((await gone)?.text).toBe((await never)?.text.replace(unknown, dataId));
});
