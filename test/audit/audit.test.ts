import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { removeOldEntries } from '../../src/audit/store.ts';
import { createKey, importKey, rotateKey } from '../../src/auth/keys.ts';
import { createLink } from '../../src/auth/sessions.ts';
import { admitSqlReader, dropSqlReader } from '../../src/auth/sql-readers.ts';
import { findIdentity, revokeKey } from '../../src/auth/store.ts';
import { type Actor, auditActions } from '../../src/database/audit.ts';
import { chunkBody, openStream } from '../streams/support/chunks.ts';
import { onCluster } from '../support/on-cluster.ts';
import { type Answer, joinTestServer, startTestServer, type TestServer } from '../support/test-server.ts';

const operator: Actor = { kind: 'operator', userName: 'root' };
const chunkUrl = '/tool-state/stream/chunk';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({}, { auth: { refusedSignInsMax: 3 } });
});
afterAll(() => server?.close());

const keyIdOf = async (key: string) => (await findIdentity(server.database, key))?.keyId as number;

/** Sends a request with an id of its own, so that its entries are found by that. */
async function sendAs(id: string, method: string, url: string, body?: unknown, key: string | null = server.keys.ada) {
  const answer = await server.app.inject({
    method: method as 'GET',
    url,
    headers: {
      'x-request-id': id,
      ...(key !== null && { 'x-api-key': key }),
      ...(body ? { 'content-type': 'application/json' } : {}),
    },
    ...(body ? { payload: JSON.stringify(body) } : {}),
  });
  return { ...answer, status: answer.statusCode };
}

/** Entries as they stand in the table, oldest first, without what is other in every run. */
async function entriesOf(where: string, value: unknown) {
  const { rows } = await server.owner.pool.query(
    `select o.name as organization, action, actor, key_id, user_name, data_id, of_key_id, request_id, address, details
     from audit_log left join organizations o using (organization_id) where ${where} order by happened_at`,
    [value],
  );
  return rows;
}

const entry = (action: string, more: object) => ({
  ...{ organization: 'lab', action, actor: 'key', user_name: 'ada', data_id: null, of_key_id: null, details: {} },
  ...more,
});

describe('a key', () => {
  test('that is made, rotated, linked and revoked by a command is in the log, and never its secret', async () => {
    const key = await createKey(server.database, 'lab', 'carl', { scopes: ['read'] }, operator);
    const id = await keyIdOf(key);
    const successor = await rotateKey(server.database, id, 60, undefined, operator);
    await createLink(server.database, successor.keyId, undefined, operator);
    await revokeKey(server.database, successor.keyId, operator);
    // It does nothing, and so there is nothing to tell.
    await revokeKey(server.database, successor.keyId, operator);
    const byRoot = { actor: 'operator', key_id: null, user_name: 'root', request_id: null, address: null };
    const ofCarl = { user_name: 'carl', scopes: ['read'], key_hint: expect.stringMatching(/^msk1_\w{10}$/) };
    const entries = await entriesOf('of_key_id = any($1)', [id, successor.keyId]);
    expect(entries).toEqual([
      entry('key.create', { ...byRoot, of_key_id: id, details: ofCarl }),
      entry('key.rotate', { ...byRoot, of_key_id: successor.keyId, details: { ...ofCarl, replaces_key_id: id } }),
      entry('key.link', { ...byRoot, of_key_id: successor.keyId, details: { expires_at: expect.any(String) } }),
      entry('key.revoke', { ...byRoot, of_key_id: successor.keyId, details: { ...ofCarl, replaces_key_id: id } }),
    ]);
    for (const secret of [key, successor.key]) expect(JSON.stringify(entries)).not.toContain(secret.slice(16));
  });

  test('that is imported is told from one that is made; one that was there already is not in the log', async () => {
    const key = 'a key of somebody else';
    const take = () => importKey(server.database, key.replaceAll(' ', '-'), 'lab', 'ada', {}, operator);
    const id = await take();
    await expect(take()).rejects.toThrow('stored already');
    expect((await entriesOf('of_key_id = $1', id)).map(({ action }) => action)).toEqual(['key.import']);
  });
});

test('deleting, restoring and removing a stream: who, by which request, and the name, which nothing else has then', async () => {
  const dataId = await openStream(server, { stream_name: 'Growth 7' });
  const url = `/data_entries/?data_ids=${dataId}`;
  await sendAs('delete-1', 'DELETE', url);
  // What is gone already is not deleted again.
  expect((await sendAs('delete-2', 'DELETE', url)).status).toBe(404);
  await sendAs('restore-1', 'POST', '/data_entries/restore', { data_ids: [dataId] });
  await sendAs('restore-2', 'POST', '/data_entries/restore', { data_ids: [dataId] });
  await sendAs('remove-1', 'DELETE', `${url}&permanent=true`, undefined, server.keys.grace);
  const of = (action: string, request_id: string, key: string, user_name: string) => async () =>
    entry(action, {
      ...{ request_id, user_name, data_id: dataId, key_id: await keyIdOf(key), address: '127.0.0.1' },
      details: { stream_name: 'Growth 7' },
    });
  const { ada, grace } = server.keys;
  expect(await entriesOf('data_id = $1', dataId)).toEqual([
    await of('stream.delete', 'delete-1', ada, 'ada')(),
    await of('stream.restore', 'restore-1', ada, 'ada')(),
    await of('stream.remove', 'remove-1', grace, 'grace')(),
    await of('stream.removed', 'remove-1', grace, 'grace')(),
  ]);
});

test('a flood of replaced chunks is one entry a minute for a key and a stream, also of two servers at once', async () => {
  const other = await joinTestServer(server);
  const [one, two] = [await openStream(server), await openStream(server)];
  const store = async (value: number) => {
    const sent: Promise<Answer>[] = [];
    for (let i = 0; i < 20; i++) {
      for (const dataId of i % 2 === 0 ? [one, two] : [two, one])
        sent.push((i % 2 === 0 ? server : other).post(chunkUrl, chunkBody(dataId, i, `c${i % 3}`, [value])));
    }
    for (const { status } of await Promise.all(sent)) expect(status).toBe(201);
  };
  await store(1);
  expect(await entriesOf('data_id = any($1)', [one, two])).toEqual([]);
  await store(2);
  await store(2);
  await sendAs('restore-chunk', 'POST', `/tool-state/stream/${one}/chunks/restore`, {
    ...{ channel_name: 'c0', chunk_index: 0, revision: 1 },
  });
  await other.close();
  const counts = new Map<string, number>();
  const entries = await entriesOf('data_id = any($1)', [one, two]);
  for (const { action, data_id } of entries)
    counts.set(`${action} ${data_id}`, (counts.get(`${action} ${data_id}`) ?? 0) + 1);
  // A minute may end meanwhile.
  for (const dataId of [one, two]) {
    expect(counts.get(`chunk.replace ${dataId}`)).toBeGreaterThanOrEqual(1);
    expect(counts.get(`chunk.replace ${dataId}`)).toBeLessThanOrEqual(2);
  }
  expect(entries.at(-1)).toMatchObject({
    ...{ action: 'chunk.restore', data_id: one, request_id: 'restore-chunk', address: '127.0.0.1', user_name: 'ada' },
    details: { first_channel_name: 'c0', first_chunk_index: 0 },
  });
  const { rows } = await server.owner.pool.query('select count(*) from chunk_revisions where data_id = any($1)', [
    [one, two],
  ]);
  expect(rows[0].count).toBe(41);
});

test('an export is an entry of each stream; its metadata, and what is not there, are none', async () => {
  const ids = [await openStream(server, { stream_name: 'one' }), await openStream(server, { stream_name: 'two' })];
  await sendAs('metadata', 'GET', `/exports/${ids[0]}/metadata`);
  await sendAs('head', 'HEAD', `/exports/${ids[0]}/`);
  await sendAs('unknown', 'GET', '/exports/00000000-0000-4000-8000-00000000000a/');
  await sendAs('foreign', 'GET', `/exports/${ids[0]}/`, undefined, server.keys.rival);
  expect((await sendAs('export', 'GET', `/exports/?data_ids=${ids.join('&data_ids=')}&format=parquet`)).status).toBe(
    200,
  );
  const entries = await entriesOf(`request_id = any($1)`, ['metadata', 'head', 'unknown', 'foreign', 'export']);
  expect(entries.map(({ action, data_id, request_id, details }) => ({ action, data_id, request_id, details }))).toEqual(
    [...ids].sort().map((data_id) => ({
      ...{ action: 'export', data_id, request_id: 'export' },
      details: { format: 'parquet', layout: 'long', stream_name: data_id === ids[0] ? 'one' : 'two' },
    })),
  );
});

describe('signing in', () => {
  test('and out, with a key and with a link', async () => {
    const keyId = await keyIdOf(server.keys.grace);
    const signedIn = await sendAs('in-1', 'POST', '/session', { api_key: server.keys.grace }, null);
    const cookie = String(signedIn.headers['set-cookie']).split(';')[0] as string;
    const link = (await createLink(server.database, keyId))?.token;
    await sendAs('in-2', 'POST', '/session', { token: link }, null);
    await server.app.inject({
      ...{ method: 'DELETE', url: '/session' },
      headers: { cookie, 'x-request-id': 'out-1', 'sec-fetch-site': 'same-origin' },
    });
    const by = { key_id: keyId, user_name: 'grace', address: '127.0.0.1' };
    const details = { expires_at: expect.any(String) };
    expect(await entriesOf('request_id = any($1)', ['in-1', 'in-2', 'out-1'])).toEqual([
      entry('session.begin', { ...by, request_id: 'in-1', details }),
      entry('session.begin', { ...by, request_id: 'in-2', details }),
      entry('session.end', { ...by, request_id: 'out-1' }),
    ]);
  });

  test('that is refused is told to whose key it was, where it was one; of many only the number', async () => {
    const revoked = await createKey(server.database, 'lab', 'dora');
    const id = await keyIdOf(revoked);
    await revokeKey(server.database, id);
    const tries = [{ api_key: revoked }, { api_key: 'nobody has this key' }, { token: 'no link' }];
    for (let i = 0; i < 9; i++) {
      const { status } = await sendAs(`refused-${i}`, 'POST', '/session', tries[i % 3], null);
      expect(status).toBe(401);
    }
    const why = { why: 'This API key is unknown, revoked or expired.' };
    const stranger = { actor: 'stranger', key_id: null, user_name: null, address: '127.0.0.1' };
    const some = () => entriesOf(`action = $1`, 'session.refuse');
    await expect.poll(some).toHaveLength(3);
    expect(await some()).toEqual([
      entry('session.refuse', { ...stranger, of_key_id: id, request_id: 'refused-0', details: why }),
      entry('session.refuse', { ...stranger, organization: null, request_id: 'refused-1', details: why }),
      entry('session.refuse', {
        ...{ ...stranger, organization: null, request_id: 'refused-2' },
        details: { why: 'This link is unknown, was used or is over.' },
      }),
    ]);
    // What was only counted is written when the server ends at the latest.
    const other = await joinTestServer(server, {}, undefined, { auth: { refusedSignInsMax: 1 } });
    for (let i = 0; i < 5; i++) await other.post('/session', { api_key: 'nobody has this key' }, null);
    await other.close();
    expect((await some()).at(-1)?.details).toEqual({ why: expect.stringContaining('one by one'), count: 4 });
  });
});

describe('PostgreSQL', () => {
  test.each([
    ['service', () => server.database.everyOrganization.upkeep.pool],
    ['API', () => server.database.as('00000000-0000-4000-8000-00000000000a').pool],
  ])('lets the role of the %s change and remove nothing', async (_role, pool) => {
    for (const statement of [
      `update audit_log set action = 'x'`,
      'delete from audit_log',
      'truncate audit_log',
      'alter table audit_log disable row level security',
      'drop table audit_log',
    ])
      await expect(pool().query(statement), statement).rejects.toMatchObject({ code: '42501' });
  });

  test('takes no entry of another organization from the API', async () => {
    const { rows } = await server.owner.pool.query('select name, organization_id as id from organizations');
    const idOf = (name: string) => rows.find((row) => row.name === name).id;
    const forge = (organization: string | null) =>
      server.database.as(idOf('rival')).pool.query(
        `insert into audit_log (entry_id, happened_at, organization_id, action, actor, details)
         values (gen_random_uuid(), now(), $1::uuid, 'export', 'key', '{}')`,
        [organization],
      );
    await expect(forge(idOf('lab'))).rejects.toThrow('row-level security');
    await expect(forge(null)).rejects.toThrow('row-level security');
  });

  test('removes for the service what is old, and never what is younger than 30 days', async () => {
    const add = (age: string) =>
      server.owner.pool.query(
        `insert into audit_log (entry_id, happened_at, action, actor, details, request_id)
         values (gen_random_uuid(), now() - $1::interval, 'export', 'server', '{}', $1::text)`,
        [age],
      );
    for (const age of ['29 days', '31 days', '39 days', '41 days', '42 days']) await add(age);
    const ages = async () =>
      (await entriesOf('request_id like $1', '% days')).map(({ request_id }) => request_id as string);
    const before = (await entriesOf('$1', true)).length;
    expect(await removeOldEntries(server.database, 40, 1)).toBe(1);
    expect(await removeOldEntries(server.database, 40, 10)).toBe(1);
    expect(await ages()).toEqual(['39 days', '31 days', '29 days']);
    expect(await removeOldEntries(server.database, 0, 10)).toBe(2);
    expect(await ages()).toEqual(['29 days']);
    expect((await entriesOf('$1', true)).length).toBe(before - 4);
  });
});

test('old entries go by themselves where AUDIT_KEEP_DAYS is set', async () => {
  await server.owner.pool.query(
    `insert into audit_log (entry_id, happened_at, action, actor, details, request_id)
     select gen_random_uuid(), now() - interval '50 days', 'export', 'server', '{}', 'old' from generate_series(1, 25)`,
  );
  const other = await joinTestServer(server, { AUDIT_KEEP_DAYS: 40 }, undefined, { audit: { entrySweepRowsMax: 10 } });
  await expect.poll(async () => (await entriesOf('request_id = $1', 'old')).length).toBe(0);
  await other.close();
});

describe('GET /audit/', () => {
  const pages = async (query: string, limit: number) => {
    const found: Record<string, unknown>[] = [];
    for (let cursor = ''; ; ) {
      const { status, json, text } = await server.get(`/audit/?${query}&limit=${limit}${cursor}`);
      expect(status, text).toBe(200);
      found.push(...json.entries);
      if (json.next_cursor === null) return found;
      expect(json.entries).toHaveLength(limit);
      cursor = `&cursor=${encodeURIComponent(json.next_cursor)}`;
    }
  };

  test('has all of the organization and nothing of another one, newest first, page by page', async () => {
    const { rows } = await server.owner.pool.query(
      `select entry_id from audit_log join organizations using (organization_id) where name = 'lab'
       order by happened_at desc, entry_id`,
    );
    for (const limit of [1_000, 7, 1]) {
      expect((await pages('', limit)).map(({ entry_id }) => entry_id)).toEqual(rows.map(({ entry_id }) => entry_id));
    }
    const foreign = await server.get('/audit/?action=key.create', server.keys.rival);
    expect(foreign.json.entries.map(({ user_name, details }: never) => [user_name, details])).toEqual([
      [null, expect.objectContaining({ user_name: 'eve' })],
    ]);
  });

  test('is filtered by time, action, stream and key', async () => {
    const all = await pages('', 100);
    const middle = all[Math.floor(all.length / 2)] as { happened_at: string; data_id: string };
    const query = (parameters: Record<string, string>) => new URLSearchParams(parameters).toString();
    const since = await pages(query({ since: middle.happened_at }), 100);
    const until = await pages(query({ until: middle.happened_at }), 100);
    expect([...since, ...until]).toEqual(all);
    expect(since.at(-1)).toEqual(middle);
    expect(await pages('action=key.create&action=key.revoke', 100)).toEqual(
      all.filter(({ action }) => action === 'key.create' || action === 'key.revoke'),
    );
    const { data_id } = all.find((one) => one.data_id !== null) as { data_id: string };
    expect(await pages(`data_id=${data_id.toUpperCase()}`, 2)).toEqual(all.filter((one) => one.data_id === data_id));
    const keyId = await keyIdOf(server.keys.ada);
    const ofAda = all.filter(({ key_id, of_key_id }) => key_id === keyId || of_key_id === keyId);
    expect(new Set(ofAda.map(({ action }) => action)).size).toBeGreaterThan(3);
    expect(await pages(`key_id=${keyId}`, 100)).toEqual(ofAda);
  });

  test('is written as NDJSON and CSV, whole', async () => {
    const all = await pages('', 100);
    const small = await joinTestServer(server, {}, undefined, { audit: { entriesReadMax: 4 } });
    const ndjson = await small.get('/audit/?format=ndjson');
    expect(ndjson.headers['content-type']).toBe('application/x-ndjson');
    expect(
      ndjson.text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual(all);
    const csv = await small.get('/audit/?format=csv');
    const [header, ...lines] = csv.text.trim().split('\n');
    expect([csv.headers['content-type'], header]).toEqual([
      expect.stringContaining('text/csv'),
      'happened_at,action,actor,key_id,key_hint,user_name,data_id,of_key_id,request_id,address,details,entry_id',
    ]);
    expect(lines.map((line) => line.split(',').at(-1))).toEqual(all.map(({ entry_id }) => entry_id));
    await small.close();
  });

  test('of what a stranger has chosen, a spreadsheet makes no formula', async () => {
    const dataId = await openStream(server, { stream_name: 'x' });
    await sendAs('=1+1', 'DELETE', `/data_entries/?data_ids=${dataId}`);
    expect((await server.get(`/audit/?format=csv&data_id=${dataId}`)).text).toContain(`,'=1+1,`);
  });

  test.each([
    ['since=yesterday', 'since'],
    ['until=2026-13-01', 'until'],
    ['action=key.steal', 'action'],
    ['cursor=x', 'cursor'],
    ['format=csv&limit=5', 'limit'],
    ['format=xlsx', 'format'],
    ['limit=1001', 'limit'],
    ['user=ada', 'user'],
  ])('refuses %s', async (query, name) => {
    const { status, json } = await server.get(`/audit/?${query}`);
    expect([status, json.detail[0].loc]).toEqual([422, expect.arrayContaining(['query', name])]);
  });

  test('opens to the scope admin alone', async () => {
    const key = await createKey(server.database, 'lab', 'ada', { scopes: ['read', 'write', 'delete'] });
    expect((await server.get('/audit/', key)).status).toBe(403);
  });
});

test.skipIf(onCluster)('an SQL reader that is admitted and dropped (a cluster serves none)', async () => {
  const role = `audited_${randomBytes(5).toString('hex')}`;
  await server.owner.pool.query(`create role ${role}`);
  await admitSqlReader(server.owner, role, 'lab', operator);
  await dropSqlReader(server.owner, role, operator);
  const byRoot = { actor: 'operator', user_name: 'root', key_id: null, request_id: null, address: null };
  expect(await entriesOf(`details ->> 'role_name' = $1`, role)).toEqual(
    ['sql_reader.create', 'sql_reader.drop'].map((action) =>
      entry(action, { ...byRoot, details: { role_name: role } }),
    ),
  );
});

test('every action has been met here, but those of retention new names and changed keys, which have tests of their own', async () => {
  const { rows } = await server.owner.pool.query('select distinct action from audit_log');
  const met = new Set(rows.map(({ action }) => action));
  const elsewhere = onCluster ? /archive|rename|key.change|sql_reader/ : /archive|rename|key.change/;
  expect(auditActions.filter((action) => !met.has(action) && !elsewhere.test(action))).toEqual([]);
});

test('the page knows every action', () => {
  // Its files are for a browser, so this one is read and not loaded.
  const source = readFileSync(new URL('../../src/page/api/audit.ts', import.meta.url), 'utf8');
  const list = /auditActions = \[([\s\S]*?)\];/.exec(source)?.[1] ?? '';
  expect([...list.matchAll(/'([^']+)'/g)].map(([, action]) => action)).toEqual([...auditActions]);
});
