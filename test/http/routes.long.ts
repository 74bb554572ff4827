import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readdirSync } from 'node:fs';
import ajvCompiler from '@fastify/ajv-compiler';
import serializerCompiler from '@fastify/fast-json-stringify-compiler';
import type { FastifyInstance, RouteOptions } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hashApiKey, newApiKey } from '../../src/auth/api-key.ts';
import { type Identity, type Scope, scopes } from '../../src/auth/identity.ts';
import { createKey } from '../../src/auth/keys.ts';
import { findIdentity } from '../../src/auth/store.ts';
import { ajvOptions } from '../../src/http/ajv-options.ts';
import { onCluster } from '../support/on-cluster.ts';
import { type Answer, joinTestServer, startTestServer, type TestServer } from '../support/test-server.ts';

/** Ids that a request can carry: those of ada's organization, or such as nobody has. */
interface Ids {
  data: string;
  sample: string;
  project: string;
  tag: string;
  instrument: number;
  key: number;
  user: string;
}
interface Request {
  url: string;
  body?: unknown;
  /** Where it is not that of the method: read for GET, delete for DELETE, write for the rest. */
  scope?: Scope;
}

const unknown: Ids = {
  data: '00000000-0000-4000-8000-000000000001',
  sample: '00000000-0000-4000-8000-000000000002',
  project: '00000000-0000-4000-8000-000000000003',
  tag: '00000000-0000-4000-8000-000000000004',
  instrument: 2_147_483_646,
  key: 999_999_999_999,
  user: '00000000-0000-4000-8000-000000000005',
};

const readings = { timestamps: [1], values: [1.5] };
/** The chunk that `makeThings` has stored: a replay must not be told from a new chunk where the stream is foreign. */
const chunk = (ids: Ids) => ({ data_id: ids.data, chunk_index: 0, channel_name: 'p', ...readings });
const multiChunk = (ids: Ids) => ({ data_id: ids.data, chunk_index: 0, channels: { p: readings, q: readings } });
const links = (ids: Ids) => ({
  synth_source_id: ids.instrument,
  physical_sample_id: ids.sample,
  project_id: ids.project,
});

/** One request per route that carries every kind of id that the route takes. */
const requests: Record<string, (ids: Ids) => Request> = {
  ...forEach(['/metrology/stream', '/tool-state/stream', '/instrument-timeseries'], (prefix) => ({
    [`POST ${prefix}/initialize`]: (ids) => ({
      url: `${prefix}/initialize`,
      body: { points_per_chunk: 1, ...links(ids) },
    }),
    [`POST ${prefix}/chunk`]: (ids) => ({ url: `${prefix}/chunk`, body: chunk(ids) }),
    [`POST ${prefix}/chunk/multi`]: (ids) => ({ url: `${prefix}/chunk/multi`, body: multiChunk(ids) }),
    [`POST ${prefix}/:data_id/chunks/restore`]: (ids) => ({
      url: `${prefix}/${ids.data}/chunks/restore`,
      body: { channel_name: 'p', chunk_index: 0, revision: 1 },
    }),
    [`POST ${prefix}/:data_id/finalize`]: (ids) => ({ url: `${prefix}/${ids.data}/finalize` }),
    [`GET ${prefix}/:data_id/chunks`]: (ids) => ({
      url: `${prefix}/${ids.data}/chunks?content_hashes=true&marks=true`,
    }),
    [`GET ${prefix}/:data_id/chunks/revisions`]: (ids) => ({ url: `${prefix}/${ids.data}/chunks/revisions` }),
    [`GET ${prefix}/:data_id/chunks/revisions/:revision`]: (ids) => ({
      url: `${prefix}/${ids.data}/chunks/revisions/1?channel_name=p&chunk_index=0`,
    }),
    [`GET ${prefix}/:data_id/certificate`]: (ids) => ({ url: `${prefix}/${ids.data}/certificate` }),
  })),
  ...forEach(['/metrology', '/tool-state', '/instrument-timeseries'], (prefix) => ({
    [`GET ${prefix}/:data_id/live`]: (ids) => ({ url: `${prefix}/${ids.data}/live?max_seconds=0` }),
    [`GET ${prefix}/:data_id/latest`]: (ids) => ({ url: `${prefix}/${ids.data}/latest` }),
  })),
  'GET /live': (ids) => ({ url: `/live?max_seconds=0&data_id=${ids.data}` }),
  ...forEach(['/metrology', '/tool-state'], (prefix) => ({
    [`GET ${prefix}/:data_id/timeseries/`]: (ids) => ({ url: `${prefix}/${ids.data}/timeseries/` }),
    [`GET ${prefix}/:data_id/statistics/`]: (ids) => ({ url: `${prefix}/${ids.data}/statistics/` }),
    [`GET ${prefix}/:data_id/points/`]: (ids) => ({ url: `${prefix}/${ids.data}/points/?channel=p` }),
  })),
  'GET /data_entries/raw_data/staged/timeseries/:data_id': (ids) => ({
    url: `/data_entries/raw_data/staged/timeseries/${ids.data}`,
  }),
  'GET /exports/:data_id/': (ids) => ({ url: `/exports/${ids.data}` }),
  'GET /exports/:data_id/metadata/': (ids) => ({ url: `/exports/${ids.data}/metadata` }),
  'GET /exports/': (ids) => ({ url: `/exports/?data_ids=${ids.data}` }),
  'GET /exports/metadata/': (ids) => ({ url: `/exports/metadata?data_ids=${ids.data}` }),
  'GET /data_entries/raw_data/:data_id': (ids) => ({
    url: `/data_entries/raw_data/${ids.data}?return_as=url-download`,
  }),
  'GET /data_entries/processed_data/:data_id': (ids) => ({
    url: `/data_entries/processed_data/${ids.data}?return_as=url-download`,
  }),
  'GET /rheed/timeseries/:data_id/': (ids) => ({ url: `/rheed/timeseries/${ids.data}/` }),
  'GET /data_entries/': (ids) => ({
    url: `/data_entries/?data_ids=${ids.data}&physical_sample_ids=${ids.sample}&project_ids=${ids.project}`,
  }),
  'DELETE /data_entries/': (ids) => ({ url: `/data_entries/?data_ids=${ids.data}` }),
  'PATCH /data_entries/:data_id': (ids) => ({ url: `/data_entries/${ids.data}`, body: { raw_name: 'another name' } }),
  'POST /data_entries/restore': (ids) => ({
    url: '/data_entries/restore',
    body: { data_ids: [ids.data] },
    scope: 'delete',
  }),
  'POST /data_entries/physical_sample': (ids) => ({
    url: '/data_entries/physical_sample',
    body: { data_ids: [ids.data], physical_sample_id: ids.sample },
  }),
  'GET /physical_samples/': () => ({ url: '/physical_samples/' }),
  'POST /physical_samples/': (ids) => ({
    url: '/physical_samples/',
    body: { name: 'another wafer', growth_instrument_id: ids.instrument },
  }),
  'PATCH /physical_samples/:physical_sample_id': (ids) => ({
    url: `/physical_samples/${ids.sample}`,
    body: { sample_id: 7 },
  }),
  'PATCH /physical_samples/:physical_sample_id/growth_instrument': (ids) => ({
    url: `/physical_samples/${ids.sample}/growth_instrument`,
    body: { growth_instrument_id: ids.instrument },
  }),
  'GET /physical_samples/:physical_sample_id/timeseries/': (ids) => ({
    url: `/physical_samples/${ids.sample}/timeseries/`,
  }),
  'PATCH /instruments/synthesis/:synth_source_id': (ids) => ({
    url: `/instruments/synthesis/${ids.instrument}`,
    body: { serial_id: 'SN-2' },
  }),
  'GET /projects/': () => ({ url: '/projects/' }),
  'POST /projects/': () => ({ url: '/projects/', body: { name: 'another project' } }),
  'GET /projects/:project_id/physical_samples': (ids) => ({ url: `/projects/${ids.project}/physical_samples` }),
  'DELETE /projects/:project_id': (ids) => ({ url: `/projects/${ids.project}` }),
  'GET /projects/:project_id/configuration': (ids) => ({ url: `/projects/${ids.project}/configuration` }),
  'POST /projects/:project_id/configuration': (ids) => ({
    url: `/projects/${ids.project}/configuration`,
    body: { kept: true, tracking_physical_sample_id: ids.sample },
  }),
  'POST /projects/:project_id/configuration/tracking_samples': (ids) => ({
    url: `/projects/${ids.project}/configuration/tracking_samples`,
    body: { physical_sample_id: ids.sample, set_active: true },
  }),
  'GET /tags/': () => ({ url: '/tags/' }),
  'POST /tags/': () => ({ url: '/tags/', body: { name: 'another tag' } }),
  'POST /tags/data-items/': (ids) => ({ url: '/tags/data-items/', body: { data_ids: [ids.data], tag_ids: [ids.tag] } }),
  'DELETE /tags/data-items/': (ids) => ({
    url: `/tags/data-items/?data_ids=${ids.data}&tag_ids=${ids.tag}`,
    scope: 'write',
  }),
  'GET /instruments/synthesis/': () => ({ url: '/instruments/synthesis/' }),
  'POST /instruments/synthesis/': () => ({
    url: '/instruments/synthesis/',
    body: { label: 'another MBE', type: 'mbe' },
  }),
  'DELETE /instruments/synthesis/': (ids) => ({
    url: `/instruments/synthesis/?synthesis_instrument_ids=${ids.instrument}`,
  }),
  'GET /runs/': (ids) => ({
    url: `/runs/?sample_id=${ids.sample}&project_id=${ids.project}&tag=${ids.tag}&instrument=${ids.instrument}`,
  }),
  'GET /keys/': (ids) => ({ url: `/keys/?user_id=${ids.user}`, scope: 'admin' }),
  'POST /keys/': () => ({ url: '/keys/', body: { scopes: ['admin'], user_name: 'another user' }, scope: 'admin' }),
  'POST /keys/:key_id/rotate': (ids) => ({ url: `/keys/${ids.key}/rotate`, body: {}, scope: 'admin' }),
  'DELETE /keys/:key_id': (ids) => ({ url: `/keys/${ids.key}`, scope: 'admin' }),
  'GET /users/': () => ({ url: '/users/', scope: 'admin' }),
  'DELETE /users/:user_id/keys/': (ids) => ({ url: `/users/${ids.user}/keys/`, scope: 'admin' }),
  'GET /audit/': (ids) => ({ url: `/audit/?data_id=${ids.data}`, scope: 'admin' }),
  'GET /session': () => ({ url: '/session' }),
  // Whoever could sign in can sign out.
  'DELETE /session': () => ({ url: '/session', scope: 'read' }),
};
const docs = ['', '/page.js', '/page.css', '/swagger-ui-bundle.js', '/swagger-ui.css'].map(
  (name) => `GET /docs${name}`,
);
const page = ['GET /', 'GET /page/:name'];
const open = [
  'GET /healthz',
  'GET /readyz',
  'GET /metrics',
  'GET /openapi.yaml',
  'GET /gateway/time',
  ...docs,
  ...page,
];
/** Open, but for those who bring what opens: test/http/sessions.test.ts has its cases. */
const signIn = 'POST /session';
/** Something that an open route has. */
const openUrlOf = (name: string) => (name.split(' ')[1] as string).replace(':name', anyPageFile());
const anyPageFile = () => readdirSync(pageFolder).find((file) => /\.(css|js)$/.test(file)) ?? 'none.js';
const pageFolder = new URL('../../dist/page/', import.meta.url);

function forEach(
  prefixes: string[],
  make: (prefix: string) => Record<string, (ids: Ids) => Request>,
): Record<string, (ids: Ids) => Request> {
  return Object.assign({}, ...prefixes.map(make));
}

let server: TestServer;
/** One that has forgotten whom it asks for: all that its routes read or edit, they do as the rival's organization. */
let forgetful: TestServer;
/** One whose tables have no policies: there the comparison with the organization in each statement stands alone. */
let unguarded: TestServer;
const routes = new Map<string, RouteOptions>();

/** Requests that this process has sent over a socket; those of the tests are injected. */
const sent: unknown[] = [];

beforeAll(async () => {
  for (const channel of ['undici:request:create', 'http.client.request.start']) {
    subscribe(channel, (message) => sent.push(message));
  }
  const listen = (message: unknown) => {
    const { fastify } = message as { fastify: FastifyInstance };
    fastify.addHook('onRoute', (route) => {
      for (const method of [route.method].flat()) routes.set(`${method} ${route.url}`, route);
    });
  };
  subscribe('fastify.initialization', listen);
  server = await startTestServer({ REFERENCE_CLOCK: true });
  unsubscribe('fastify.initialization', listen);
  const rival = (await findIdentity(server.database, server.keys.rival)) as Identity;
  forgetful = await joinTestServer(server, {}, (database) => ({
    ...database,
    as: (organizationId) => ({ ...database.as(rival.organizationId), organizationId }),
    readingAs: (organizationId) => ({ ...database.readingAs(rival.organizationId), organizationId }),
  }));
  unguarded = await startTestServer({ REFERENCE_CLOCK: true });
  await takePoliciesFrom(unguarded);
  refused.expired = await keyWith(`expires_at = now() - interval '1 second'`);
  refused.revoked = await keyWith('revoked_at = now()');
  for (const scope of scopes) {
    only[scope] = await keyWith(`scopes = '{${scope}}'`);
    allBut[scope] = await keyWith(`scopes = '{${scopes.filter((one) => one !== scope).join()}}'`);
  }
});
afterAll(async () => {
  await forgetful?.close();
  await server?.close();
  await unguarded?.close();
});

/** The database is the server's own and goes with it. */
async function takePoliciesFrom({ owner }: TestServer): Promise<void> {
  const { rows } = await owner.pool.query(
    `select oid::regclass::text as name from pg_class
     where relnamespace = 'public'::regnamespace and relkind = 'r' and relrowsecurity`,
  );
  expect(rows.length).toBeGreaterThan(10);
  for (const { name } of rows) await owner.pool.query(`alter table ${name} disable row level security`);
}

/** Keys that open nothing, by why. */
const refused: Record<string, string> = {
  'of no form': 'wrong',
  malformed: `${newApiKey()}x`,
  unknown: newApiKey(),
};
/** Keys of ada that have one scope, and all scopes but one. */
const only = {} as Record<Scope, string>;
const allBut = {} as Record<Scope, string>;

/** A key of ada, changed by SQL after it was made. */
async function keyWith(change: string): Promise<string> {
  const key = await createKey(server.database, 'lab', 'ada');
  await server.owner.pool.query(`update api_keys set ${change} where key_hash = $1::bytea`, [hashApiKey(key)]);
  return key;
}

function scopeOf(name: string, { scope }: Request): Scope {
  if (scope !== undefined) return scope;
  return name.startsWith('GET') ? 'read' : name.startsWith('DELETE') ? 'delete' : 'write';
}

/** A route without the trailing slash that only some spell: the router takes both. */
const plain = (route: string) => route.replace(/(?<=\S)\/$/, '');
const routeOf = (name: string) => [...routes].find(([route]) => plain(route) === plain(name))?.[1];

let made = 0;
/** One of everything, linked and with a point in it, under the key of ada or of another. */
async function makeThings(who: 'ada' | 'rival' = 'ada', at: TestServer = server): Promise<Ids> {
  const name = (what: string) => `${who}'s ${what} ${made}`;
  const post = async (url: string, body: object) => {
    const { status, json } = await at.post(url, body, at.keys[who]);
    expect(status, url).toBeLessThan(300);
    return json;
  };
  made++;
  const { synth_source_id: instrument } = await post('/instruments/synthesis', { label: name('MBE'), type: 'mbe' });
  const { id: sample } = await post('/physical_samples/', { name: name('wafer') });
  const { id: project } = await post('/projects/', { name: name('project') });
  const { id: tag } = await post('/tags/', { name: name('tag') });
  const { key_id: key, user_id: user } = await post('/keys/', { scopes: ['admin'], user_name: name('colleague') });
  const own = { sample, project, tag, instrument, key, user, data: '' };
  const body = { points_per_chunk: 1, stream_name: name('run'), ...links(own) };
  const { data_id: data } = await post('/tool-state/stream/initialize', body);
  const replaced = { values: [2.5], units: name('unit of what is replaced') };
  await post('/tool-state/stream/chunk', { ...chunk({ ...own, data }), ...replaced });
  await post('/tool-state/stream/chunk/multi', multiChunk({ ...own, data }));
  await post('/tags/data-items/', { data_ids: [data], tag_ids: [tag] });
  await post(`/projects/${project}/configuration`, { secret: `recipe of ${who}` });
  return { ...own, data };
}

/** Things of ada's that no test may change: those that send what must change nothing share them. */
const lastingThings = once(() => makeThings());
const lastingUnguardedThings = once(() => makeThings('ada', unguarded));

/** The same, with a data entry that is deleted. */
const deletedThings = once(async () => {
  const own = await makeThings();
  await server.send('DELETE', `/data_entries/?data_ids=${own.data}`);
  return own;
});

function once<Result>(make: () => Promise<Result>): () => Promise<Result> {
  let made: Promise<Result> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

const send = (name: string, { url, body }: Request, key?: string | null, at: TestServer = server): Promise<Answer> =>
  at.send(name.split(' ')[0] as string, url, body, key);

const inLab = `organization_id = (select organization_id from organizations where name = 'lab')`;

/** A digest of everything that belongs to ada's organization. */
const everythingOfAda = (at: TestServer = server) => digest(inLab, at);

/** A digest of every row that says it is of the rival's organization or user; a client's own document may say what it likes. */
const everythingInNameOfRival = ({ organizationId, userId }: Identity) =>
  digest(`(to_jsonb(t) - 'api_configuration')::text ~ '${organizationId}|${userId}'`);

/** A row that was made, changed or deleted shows in these, and they cost less than its content. A cluster does not tell them. */
const rowText = onCluster ? `md5(to_jsonb(t)::text)` : 't.ctid || t.xmin';

async function digest(where: string, { owner }: TestServer = server): Promise<string> {
  const { rows } = await owner.pool.query(
    `select table_name as name from information_schema.columns
     join information_schema.tables using (table_schema, table_name)
     where table_schema = 'public' and table_type = 'BASE TABLE' and column_name = 'organization_id'
       and table_name not in ('api_keys', 'organizations')
     order by 1`,
  );
  expect(rows.length).toBeGreaterThan(10);
  const parts = rows.map(({ name }) => `select '${name}' || ${rowText} as row from ${name} t where ${where}`);
  // Keys note their use.
  parts.push(`select md5((to_jsonb(t) - 'last_used_at')::text) as row from api_keys t where ${where}`);
  const digestOf = (source: string) => `select md5(string_agg(row, ',' order by row)) as digest from (${source}) r`;
  if (!onCluster) return (await owner.pool.query(digestOf(parts.join(' union all ')))).rows[0].digest;
  const digests = parts.map(async (part) => (await owner.pool.query(digestOf(part))).rows[0].digest);
  return (await Promise.all(digests)).join();
}

test('every route has its cases here, and no case is left over', () => {
  const known = [...Object.keys(requests), ...open, signIn].map(plain).sort();
  const heads = known.filter((name) => name.startsWith('GET ')).map(headOf);
  expect([...new Set([...routes.keys()].map(plain))].sort()).toEqual([...known, ...heads].sort());
});

const headOf = (name: string) => name.replace(/^GET /, 'HEAD ');

describe.each([...Object.keys(requests), ...open].filter((name) => name.startsWith('GET ')))('%s', (name) => {
  test('is answered the same to HEAD, without the body', async () => {
    const request = requests[name] ?? (() => ({ url: openUrlOf(name) }));
    for (const ids of [await lastingThings(), unknown]) {
      for (const key of [server.keys.ada, server.keys.rival, only.write, null]) {
        const [got, head] = [await send(name, request(ids), key), await send(headOf(name), request(ids), key)];
        expect([head.status, head.text]).toEqual([got.status, '']);
        // A body that is not sent is not chunked.
        const {
          date: _,
          'transfer-encoding': __,
          'x-request-id': ___,
          'content-length': length,
          ...headers
        } = got.headers;
        expect(head.headers).toMatchObject(headers);
        // When a key was last used is noted beside the requests.
        if (!/metrics|gateway|certificate|keys|users/.test(name)) expect(head.headers['content-length']).toBe(length);
      }
    }
  });
});

test('every schema compiles, also one that is not used before its first request', () => {
  const shared = server.app.getSchemas() as Record<string, object>;
  const validate = ajvCompiler.AjvCompiler()(shared, { customOptions: ajvOptions });
  const serialize = serializerCompiler.SerializerSelector()(shared, {});
  let count = 0;
  for (const [url, { schema }] of routes) {
    for (const part of ['body', 'params', 'querystring'] as const) {
      if (schema?.[part] === undefined) continue;
      const route = { method: 'GET', url, httpPart: part, schema: schema[part] as object };
      expect(() => validate(route), `${part} of ${url}`).not.toThrow();
    }
    for (const [httpStatus, response] of Object.entries(schema?.response ?? {})) {
      const { content } = response as { content?: Record<string, { schema?: object }> };
      const schemas = content === undefined ? [response] : Object.values(content).map(({ schema }) => schema);
      for (const schema of schemas) {
        count++;
        const route = { method: 'GET', url, httpStatus, schema };
        expect(() => serialize(route), `${httpStatus} of ${url}`).not.toThrow();
      }
    }
  }
  expect(count).toBeGreaterThan(100);
});

describe.each(open)('%s', (name) => {
  test('says that it is open, and answers without a key and under any', async () => {
    expect(routeOf(name)?.config).toMatchObject({ open: true });
    for (const key of [null, ...Object.values(refused), server.keys.rival]) {
      expect((await send(name, { url: openUrlOf(name) }, key)).status).toBe(200);
    }
  });
});

describe.each(Object.entries(requests))('%s', (name, request) => {
  test('refuses who has no key, a wrong one or one without the scope, and does nothing', async () => {
    const own = await lastingThings();
    const before = await everythingOfAda();
    const missing = await send(name, request(own), null);
    expect([missing.status, missing.json]).toEqual([401, { detail: expect.stringContaining('X-API-KEY') }]);
    for (const [why, key] of Object.entries(refused)) {
      for (const ids of [own, unknown]) {
        const { status, json } = await send(name, request(ids), key);
        const detail = expect.stringContaining(why === 'malformed' ? 'mistyped' : 'unknown, revoked or expired');
        expect([why, status, json]).toEqual([why, 401, { detail }]);
      }
    }
    const scope = scopeOf(name, request(own));
    const lacking = await send(name, request(own), allBut[scope]);
    expect([lacking.status, lacking.json]).toEqual([403, { detail: `This API key lacks the scope "${scope}".` }]);
    expect(await everythingOfAda()).toBe(before);
  });

  test('answers another organization as if ids were unknown, shows nothing and changes nothing', async () => {
    await refusesForeignIds(server, await lastingThings(), name, request);
  });

  test('does so without the policies too, by the comparison in each statement', async () => {
    const ask = (ids: Ids, who: 'ada' | 'rival') => send(name, request(ids), unguarded.keys[who], unguarded);
    const own = await lastingUnguardedThings();
    const adas = name.startsWith('POST') ? await ask(await makeThings('ada', unguarded), 'ada') : undefined;
    const rivals = await refusesForeignIds(unguarded, own, name, request);
    if (adas !== undefined) {
      // Of what ada has made, also under the same names, another organization makes one of its own.
      const { status, text } = await ask(rivals, 'rival');
      expect([200, 201, 409]).toContain(status);
      expect(idsIn(text).filter((id) => idsIn(adas.text).includes(id))).toEqual([]);
    }
    if (!name.startsWith('GET')) return;
    // Nor do lists and counts tell another organization what is made in this one, with and without what narrows them.
    const { url } = request(rivals);
    const urls = url.includes('live') ? [url] : [url, url.replace(/\?.*/, '')];
    const list = () => Promise.all(urls.map((url) => send(name, { url }, unguarded.keys.rival, unguarded)));
    const before = (await list()).map(withoutClock);
    await makeThings('ada', unguarded);
    expect((await list()).map(withoutClock)).toEqual(before);
  });

  // Chunks are stored under the role that sees all organizations.
  test.skipIf(/^POST \S+\/chunk(\/multi)?$/.test(name))(
    'is kept by PostgreSQL itself from another organization, though it asks for its rows',
    async () => {
      const own = await lastingThings();
      const before = await everythingOfAda();
      const [asOwn, asUnknown] = [own, unknown].map(request) as [Request, Request];
      const answer = await forgetful.send(name.split(' ')[0] as string, asOwn.url, asOwn.body);
      expect(answer.text).not.toMatch(/ada's|of ada/);
      if (JSON.stringify(asOwn) !== JSON.stringify(asUnknown)) {
        expect(answer.status).toBe((await send(name, asUnknown)).status);
      }
      expect(await everythingOfAda()).toBe(before);
    },
  );

  // Restoring is for what is deleted, and the audit log tells of it.
  test.skipIf(name === 'POST /data_entries/restore' || name === 'GET /audit/')(
    'answers the owner of a deleted data entry as if its id were unknown, and changes nothing',
    async () => {
      const own = await deletedThings();
      const before = await everythingOfAda();
      const [asDeleted, asUnknown] = [own.data, unknown.data].map((data) => request({ ...own, data })) as [
        Request,
        Request,
      ];
      if (JSON.stringify(asDeleted) === JSON.stringify(asUnknown)) return;
      const [deleted, notThere] = [await send(name, asDeleted), await send(name, asUnknown)];
      expect([deleted.status, withoutId(deleted.text, own.data)]).toEqual([
        notThere.status,
        withoutId(notThere.text, unknown.data),
      ]);
      expect(await everythingOfAda()).toBe(before);
    },
  );

  if (request(unknown).body !== undefined) {
    test('takes whose something is from the key, whatever the body says', async () => {
      const { url, body } = request(await makeThings());
      const rival = (await findIdentity(server.database, server.keys.rival)) as Identity;
      const before = await everythingInNameOfRival(rival);
      const spoofed = { ...(body as object), organization_id: rival.organizationId, user_id: rival.userId };
      expect((await send(name, { url, body: spoofed })).status).toBeLessThan(500);
      expect(await everythingInNameOfRival(rival)).toBe(before);
    });
  }

  test('answers its owner, and whoever asks for what is not there, as documented', async () => {
    const response = routeOf(name)?.schema?.response as Record<string, unknown>;
    for (const status of [401, 403, 503]) expect(response).toHaveProperty([String(status)]);
    const own = request(await makeThings());
    const good = await send(name, own, only[scopeOf(name, own)]);
    expect(good.status, good.text).toBeLessThan(300);
    expect(good.headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'cache-control': expect.stringMatching(/no-store|no-cache|private/),
    });
    expect(response).toHaveProperty([String(good.status)]);
    expect(response).toHaveProperty([String((await send(name, request(unknown))).status)]);
    if (/^(POST|PATCH)/.test(name)) {
      const { url } = request(unknown);
      for (const body of ['{', '[]', `"${'x'.repeat(4 * 1024 * 1024)}"`]) {
        expect(response).toHaveProperty([String((await send(name, { url, body })).status)]);
      }
    }
    const malformed = request({
      ...unknown,
      data: 'x',
      sample: 'x',
      project: 'x',
      tag: 'x',
      instrument: 0.5,
      key: 0.5,
      user: 'x',
    });
    const refused = await send(name, malformed);
    expect(response, refused.text).toHaveProperty([String(refused.status)]);
    if (JSON.stringify(malformed) !== JSON.stringify(request(unknown))) expect(refused.status).toBe(422);
  });
});

/** @returns the things of another organization, with which it has asked */
async function refusesForeignIds(at: TestServer, own: Ids, name: string, request: (ids: Ids) => Request): Promise<Ids> {
  const rivals = await makeThings('rival', at);
  const before = await everythingOfAda(at);
  // Each id by itself is foreign while the others are the asker's own, so that no check can hide behind another.
  for (const kind of Object.keys(own) as (keyof Ids)[]) {
    const [asForeign, asUnknown] = [own, unknown].map((ids) => request({ ...rivals, [kind]: ids[kind] })) as [
      Request,
      Request,
    ];
    const foreign = await send(name, asForeign, at.keys.rival, at);
    expect(foreign.text).not.toMatch(/ada's|of ada/);
    if (JSON.stringify(asForeign) === JSON.stringify(asUnknown)) {
      for (const id of Object.values(own)) expect(foreign.text).not.toContain(`"${id}"`);
      continue;
    }
    const notThere = await send(name, asUnknown, at.keys.rival, at);
    expect(foreign.status, kind).toBe(/^GET \/(data_entries|runs|audit|keys)\/$/.test(name) ? 200 : 404);
    expect(foreign.status).toBe(notThere.status);
    expect(withoutId(foreign.text, own[kind])).toBe(withoutId(notThere.text, unknown[kind]));
  }
  expect(await everythingOfAda(at)).toBe(before);
  return rivals;
}

test('the last admin key of an organization is its own last, without the policies too', async () => {
  const key = await createKey(unguarded.database, 'hermit', 'mara');
  const { rows } = await unguarded.owner.pool.query('select key_id from api_keys where key_hash = $1::bytea', [
    hashApiKey(key),
  ]);
  expect((await unguarded.send('DELETE', `/keys/${rows[0].key_id}`, undefined, key)).status).toBe(409);
});

test('no route has sent a request to anybody', async () => {
  expect(sent).toEqual([]);
  // And it would have been seen.
  await fetch('http://127.0.0.1:65535').catch(() => {});
  expect(sent).not.toEqual([]);
});

const withoutId = (text: string, id: string | number) => text.replaceAll(String(id), '<id>');
const idsIn = (text: string): string[] => text.match(/[0-9a-f-]{36}|"[a-z_]*id":\d+/g) ?? [];

/** An answer without what the clock says: files and changes name their time, and keys note their use. */
function withoutClock({ status, text, headers }: Answer) {
  const { date: _, 'x-request-id': __, etag: ___, ...others } = headers;
  const timeless = text
    .replace(/"(last_used_at|certified_at|exported_at)":"[^"]*"/g, '"$1":""')
    .replace(/^id: \d+$/m, 'id:');
  return { status, text: timeless, headers: others };
}
