import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isOfficial, officialRoutes } from '../../src/http/official-routes.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

let server: TestServer;
let dataId: string;
const routes = new Set<string>();

beforeAll(async () => {
  const listen = (message: unknown) => {
    const { fastify } = message as { fastify: FastifyInstance };
    fastify.addHook('onRoute', ({ method, url, config }) => {
      for (const one of [method].flat()) if (!config?.open) routes.add(`${one} ${url.replace(/\/+$/, '')}`);
    });
  };
  subscribe('fastify.initialization', listen);
  server = await startTestServer({ REFERENCE_CLOCK: true }, { streams: { loopBodyBytesMax: 4_096 } });
  unsubscribe('fastify.initialization', listen);
  dataId = (await server.post('/metrology/stream/initialize', { points_per_chunk: 2 })).json.data_id;
});
afterAll(() => server?.close());

const readings = { timestamps: [1, 2], values: [1, 2] };
const chunk = (more: object) => ({ data_id: dataId, chunk_index: 0, channel_name: 'p', ...readings, ...more });
const multi = (channels: object, more: object = {}) => ({ data_id: dataId, chunk_index: 0, channels, ...more });

test('every official route is a route', () => {
  expect([...officialRoutes].filter((route) => !routes.has(route))).toEqual([]);
  expect([...routes].filter((route) => !officialRoutes.has(route))).not.toEqual([]);
  expect(isOfficial('HEAD', '/data_entries/')).toBe(true);
});

describe('an official route answers as ever and names what it ignores', () => {
  test('fields of a chunk, with what was probably meant', async () => {
    const known = await server.post('/metrology/stream/chunk', chunk({ units: 'nm' }));
    expect([known.status, known.headers.ignored]).toEqual([201, undefined]);
    const unknown = await server.post('/metrology/stream/chunk', chunk({ units: 'nm', unit: 'nm', colour: 1 }));
    expect([unknown.status, unknown.json]).toEqual([201, known.json]);
    expect(unknown.headers.ignored).toBe('"unit";in=body;did-you-mean="units", "colour";in=body');
  });

  test.each(['/metrology/stream', '/tool-state/stream', '/instrument-timeseries'])(
    'fields of every channel of %s/chunk/multi, wherever it is read',
    async (prefix) => {
      for (const count of [2, 1_000]) {
        const long = { timestamps: Array(count).fill(1), values: Array(count).fill(2) };
        const body = multi({ p: { ...long, unit: 'nm' }, 'µ"': { ...long, vlaues: [] } }, { index: 1 });
        const { status, headers } = await server.post(`${prefix}/chunk/multi`, body);
        expect(status).toBe(201);
        expect(headers.ignored).toBe(
          '"channels.p.unit";in=body;did-you-mean="units", ' +
            '%"channels.%c2%b5%22.vlaues";in=body;did-you-mean="values", "index";in=body;did-you-mean="chunk_index"',
        );
      }
    },
  );

  test('names of channels are no fields', async () => {
    const names = ['unit', '__proto__', 'constructor', 'toString', 'data_id'];
    const text = names.map((name) => `"${name}":{"timestamps":[1],"values":[1]}`).join();
    const body = `{"data_id":"${dataId}","chunk_index":1,"channels":{${text}}}`;
    const { status, headers } = await server.post('/metrology/stream/chunk/multi', body);
    expect([status, headers.ignored]).toEqual([201, undefined]);
  });

  test('names that JavaScript treats specially are unknown like others', async () => {
    const body = `{"name":"a tag","__proto__":{"x":1},"constructor":1,"toString":2}`;
    const { status, headers } = await server.post('/tags/', body);
    expect(status).toBe(201);
    expect(headers.ignored).toBe('"__proto__";in=body, "constructor";in=body, "toString";in=body');
  });

  test('a change that changes nothing', async () => {
    const { status, headers } = await server.send('PATCH', `/data_entries/${dataId}`, { raw_nam: 'Run 8' });
    expect([status, headers.ignored]).toEqual([200, '"raw_nam";in=body;did-you-mean="raw_name"']);
  });

  test.each([
    ['/metrology/{id}/timeseries/?maxpoints=5', '"maxpoints";in=query;did-you-mean="max_points"'],
    ['/tool-state/{id}/timeseries/?maxPoints=5', '"maxPoints";in=query;did-you-mean="max_points"'],
    ['/rheed/timeseries/{id}/?lastn=5&_=1', '"lastn";in=query;did-you-mean="last_n", "_";in=query'],
    ['/data_entries/?keyword=MBE', '"keyword";in=query;did-you-mean="keywords"'],
    ['/data_entries/?data_ids[]={id}', '"data_ids[]";in=query;did-you-mean="data_ids"'],
    ['/tags/?name=x', '"name";in=query'],
    ['/healthz?nonce=%C3%A9%25&%C3%A9=1', '"nonce";in=query, %"%c3%a9";in=query'],
  ])('GET %s', async (url, ignored) => {
    const { status, headers } = await server.get(url.replace('{id}', dataId));
    expect([status, headers.ignored]).toEqual([200, ignored]);
  });

  test('what comes where no body is expected, in a refusal too', async () => {
    const finalized = await server.post(`/metrology/stream/${dataId}/finalize?wait=1`, { force: true });
    expect([finalized.status, finalized.headers.ignored]).toEqual([200, '"wait";in=query, "force";in=body']);
    const refused = await server.post('/metrology/stream/initialize', { point_per_chunk: 3, name: 'Run' });
    expect(refused.status).toBe(422);
    expect(refused.headers.ignored).toBe(
      '"point_per_chunk";in=body;did-you-mean="points_per_chunk", "name";in=body;did-you-mean="stream_name"',
    );
    expect(refused.json.detail[0].msg).toBe('Field required; was it meant by "point_per_chunk"?');
  });

  test('documents of the client may have any names', async () => {
    const { json } = await server.post('/projects/', { name: 'documents' });
    const answer = await server.post(`/projects/${json.id}/configuration`, { any: { thing: 1 } });
    expect([answer.status, answer.headers.ignored]).toEqual([200, undefined]);
    const sample = await server.post('/physical_samples/', { name: 'any', physical_sample_metadata: { any: 1 } });
    expect([sample.status, sample.headers.ignored]).toEqual([200, undefined]);
  });

  test('many names are cut and counted, so that the header stays short', async () => {
    const more = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`${'x'.repeat(200)}${i}`, i]));
    const { status, headers } = await server.post('/tags/', { name: 'many', ...more });
    expect(status).toBe(201);
    expect(headers.ignored).toMatch(/^(%"x{100}%e2%80%a6";in=body, ){10}more;in=body;count=990$/);
  });
});

describe('an own route refuses what it does not know', () => {
  test.each([
    ['GET', '/metrology/{id}/points/?chanel=p', ['query', 'chanel'], '; did you mean "channel"?'],
    [
      'GET',
      '/tool-state/stream/{id}/chunks?channel_names=p',
      ['query', 'channel_names'],
      '; did you mean "channel_name"?',
    ],
    ['GET', '/metrology/stream/{id}/certificate?x=1', ['query', 'x'], '.'],
    ['GET', '/exports/{id}/?formt=csv', ['query', 'formt'], '; did you mean "format"?'],
    ['GET', '/exports/?data_id={id}', ['query', 'data_id'], '; did you mean "data_ids"?'],
    ['GET', '/exports/{id}/metadata/?format=csv', ['query', 'format'], '.'],
  ])('%s %s', async (method, url, loc, advice) => {
    const { status, json, headers } = await server.send(method, url.replace('{id}', dataId));
    expect([status, headers.ignored]).toEqual([422, undefined]);
    const [, name] = loc;
    const msg = `"${name}" is not a parameter of this route${advice}`;
    expect(json).toEqual({ detail: [{ type: 'extra_forbidden', loc, msg }] });
  });

  test('fields of a body, and changes nothing', async () => {
    const { json: project } = await server.post('/projects/', { name: 'strict' });
    const created = await server.post('/projects/', { name: 'stricter', colour: 'red' });
    expect(created.status).toBe(422);
    const deleted = await server.send('DELETE', `/projects/${project.id}?permanent=true`, { force: true });
    expect([deleted.status, deleted.json.detail.map((one: { loc: string[] }) => one.loc)]).toEqual([
      422,
      [
        ['query', 'permanent'],
        ['body', 'force'],
      ],
    ]);
    const names = (await server.get('/projects/')).json.map((one: { name: string }) => one.name);
    expect(names).toContain('strict');
    expect(names).not.toContain('stricter');
  });

  test('many names are cut and counted', async () => {
    const query = Array.from({ length: 50 }, (_, i) => `${'y'.repeat(200)}${i}=1`).join('&');
    const { status, json } = await server.get(`/exports/?${query}`);
    expect([status, json.detail.length]).toEqual([422, 11]);
    expect(json.detail[0].loc[1]).toBe(`${'y'.repeat(100)}…`);
    expect(json.detail[10]).toMatchObject({ loc: ['query'], msg: '40 more names are not known here.' });
  });
});

test('both are counted by route', async () => {
  const of = async () =>
    Object.fromEntries(
      (await server.get('/metrics')).text
        .split('\n')
        .filter((line) => line.startsWith('metrology_unknown_names_total{'))
        .map((line) => [line.slice(line.indexOf('{'), line.indexOf('}') + 1), Number(line.split(' ').at(-1))]),
    );
  const before = await of();
  await server.post('/metrology/stream/chunk', chunk({ unit: 'nm', colour: 1 }));
  await server.get(`/metrology/${dataId}/points/?channel=p&x=1`);
  const after = await of();
  const grown = Object.entries(after).map(([labels, count]) => [labels, count - (before[labels] ?? 0)]);
  expect(grown.filter(([, count]) => count !== 0)).toEqual([
    ['{route="/metrology/stream/chunk",place="body",outcome="ignored"}', 2],
    ['{route="/metrology/:data_id/points/",place="query",outcome="refused"}', 1],
  ]);
});
