import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createKey } from '../../src/auth/keys.ts';
import { authLimits } from '../../src/auth/limits.ts';
import { findIdentity } from '../../src/auth/store.ts';
import { joinTestServer, startTestServer, type TestServer } from '../support/test-server.ts';

let server: TestServer;
/** Another server on the same database, which remembers keys for a short time. */
let other: TestServer;

beforeAll(async () => {
  server = await startTestServer({}, { auth: { openKeysMax: 12, listedRowsMax: 2 } });
  other = await joinTestServer(server, {}, undefined, { auth: { keyCacheMsMax: 50 } });
});
afterAll(async () => {
  await other?.close();
  await server?.close();
});

interface Answered {
  key_id: number;
  user_id: string;
  user_name: string;
  state: string;
  api_key: string;
}

const make = async (body: object, key?: string): Promise<Answered> => {
  const { status, json } = await server.post('/keys/', body, key);
  expect(status, JSON.stringify(json)).toBe(201);
  return json;
};
const remove = (url: string, key?: string) => server.send('DELETE', url, undefined, key);
const list = async (query = '', key?: string): Promise<Answered[]> => (await server.get(`/keys/${query}`, key)).json;
const idOf = async (key: string) => (await findIdentity(server.database, key))?.keyId as number;
/** An organization of its own, with one key that may do everything. */
const organization = (name: string) => createKey(server.database, name, 'boss');

describe('POST /keys/', () => {
  test('makes a key that opens what it may, shows it once, and no cache keeps the answer', async () => {
    const boss = await organization('made');
    const answer = await server.post('/keys/', { scopes: ['read'], user_name: 'Ann', expires_in_seconds: 3_600 }, boss);
    expect([answer.status, answer.headers['cache-control']]).toEqual([201, 'no-store']);
    const { api_key, ...shown } = answer.json;
    expect(shown).toMatchObject({
      user_name: 'Ann',
      scopes: ['read'],
      state: 'open',
      last_used_at: null,
      revoked_at: null,
    });
    expect(Date.parse(shown.expires_at) - Date.parse(shown.created_at)).toBe(3_600_000);
    expect(api_key.startsWith(shown.key_hint)).toBe(true);
    expect((await server.get('/runs/', api_key)).status).toBe(200);
    expect((await server.get('/keys/', api_key)).status).toBe(403);
    const listed = await server.get('/keys/', boss);
    expect(listed.json[1]).toEqual({ ...shown, last_used_at: expect.anything() });
    expect(listed.text).not.toContain(api_key.slice(16, 30));
  });

  test('is for who asks when nobody is named, and for the same user under another spelling', async () => {
    const boss = await organization('named');
    expect(await make({ scopes: ['read'] }, boss)).toMatchObject({ user_name: 'boss', expires_at: null });
    const [straße, again] = [
      await make({ scopes: ['read'], user_name: 'Weiß' }, boss),
      await make({ scopes: ['read'], user_name: ' WEISS ' }, boss),
    ];
    expect(again.user_id).toBe(straße.user_id);
    expect((await server.get('/users/', boss)).json.map(({ name }: { name: string }) => name)).toEqual([
      'Weiß',
      'boss',
    ]);
  });

  test('gives no scope that the asker lacks', async () => {
    const boss = await organization('scopes');
    const admin = (await make({ scopes: ['admin'] }, boss)).api_key;
    const before = await list('', boss);
    const { status, json } = await server.post('/keys/', { scopes: ['admin', 'read'] }, admin);
    expect([status, json.detail]).toEqual([403, 'Nobody gives the scope "read" with a key that lacks it.']);
    const rotated = await server.post(`/keys/${await idOf(boss)}/rotate`, {}, admin);
    expect([rotated.status, rotated.json.detail]).toEqual([
      403,
      'Nobody gives the scope "read" with a key that lacks it.',
    ]);
    expect(await list('', boss)).toHaveLength(before.length);
    expect(await make({ scopes: ['admin'] }, admin)).toMatchObject({ scopes: ['admin'] });
  });

  test.each([
    [{}],
    [{ scopes: [] }],
    [{ scopes: ['root'] }],
    [{ scopes: ['read', 'read'] }],
    [{ scopes: ['read'], user_name: '  ' }],
    [{ scopes: ['read'], user_name: 'x'.repeat(256) }],
    [{ scopes: ['read'], expires_in_seconds: 0 }],
    [{ scopes: ['read'], expires_in_seconds: authLimits.keySecondsMax + 1 }],
    [{ scopes: ['read'], organization: 'rival' }],
  ])('refuses %j', async (body) => {
    expect((await server.post('/keys/', body)).status).toBe(422);
  });

  test('makes no more than openKeysMax that open; a revoked one makes room', async () => {
    const boss = await organization('many');
    let last = 0;
    for (let i = 1; i < 12; i++) last = (await make({ scopes: ['admin'] }, boss)).key_id;
    const full = await server.post('/keys/', { scopes: ['read'] }, boss);
    expect([full.status, full.json.detail]).toEqual([409, expect.stringContaining('12 of it open (openKeysMax)')]);
    expect((await server.post(`/keys/${last}/rotate`, {}, boss)).status).toBe(409);
    await remove(`/keys/${last}`, boss);
    await make({ scopes: ['read'] }, boss);
  });
});

describe('POST /keys/{key_id}/rotate', () => {
  test('makes a successor that is like the old key, once; both open until the overlap is over', async () => {
    const boss = await organization('rotated');
    const old = await make({ scopes: ['read', 'write'], user_name: 'ann' }, boss);
    const { status, json } = await server.post(`/keys/${old.key_id}/rotate`, { overlap_seconds: 7_200 }, boss);
    expect([status, json]).toMatchObject([
      201,
      { user_name: 'ann', scopes: ['read', 'write'], replaces_key_id: old.key_id, expires_at: null, state: 'open' },
    ]);
    expect(Date.parse(json.replaced_key_expires_at) - Date.parse(json.created_at)).toBe(7_200_000);
    for (const key of [old.api_key, json.api_key]) expect((await server.get('/runs/', key)).status).toBe(200);
    expect((await list('', boss))[1]).toMatchObject({ replaced_by_key_id: json.key_id });
    const again = await server.post(`/keys/${old.key_id}/rotate`, {}, boss);
    expect([again.status, again.json.detail]).toEqual([409, expect.stringContaining('has a successor already')]);
    const usual = await server.post(`/keys/${json.key_id}/rotate`, {}, boss);
    expect(Date.parse(usual.json.replaced_key_expires_at) - Date.parse(usual.json.created_at)).toBe(86_400_000);
    await remove(`/keys/${usual.json.key_id}`, boss);
    expect((await server.post(`/keys/${usual.json.key_id}/rotate`, {}, boss)).status).toBe(409);
  });

  test('of many at once makes one', async () => {
    const boss = await organization('rotated at once');
    const { key_id } = await make({ scopes: ['read'] }, boss);
    const answers = await Promise.all([1, 2, 3, 4].map(() => server.post(`/keys/${key_id}/rotate`, {}, boss)));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409]);
  });
});

describe('DELETE /keys/{key_id}', () => {
  test('ends the key and its sessions on every server, twice is once', async () => {
    const boss = await organization('revoked');
    const { key_id, api_key } = await make({ scopes: ['read'], user_name: 'ann' }, boss);
    const signedIn = await server.app.inject({ method: 'POST', url: '/session', payload: { api_key } });
    const cookie = String(signedIn.headers['set-cookie']).split(';')[0] as string;
    const inSession = (at: TestServer) =>
      at.app.inject({ url: '/session', headers: { cookie, 'sec-fetch-site': 'same-origin' } });
    expect([(await inSession(server)).statusCode, (await inSession(other)).statusCode]).toEqual([200, 200]);
    const { status, json } = await remove(`/keys/${key_id}`, boss);
    expect([status, json]).toMatchObject([200, { key_id, state: 'revoked', revoked_at: expect.any(String) }]);
    expect((await remove(`/keys/${key_id}`, boss)).json).toEqual(json);
    await expect.poll(async () => (await other.get('/runs/', api_key)).status, { interval: 20 }).toBe(401);
    await expect.poll(async () => (await inSession(other)).statusCode, { interval: 20 }).toBe(401);
    const patience = { interval: 100, timeout: authLimits.keyCacheMsMax + 5_000 };
    await expect.poll(async () => (await inSession(server)).statusCode, patience).toBe(401);
  });

  test('leaves an organization one key that may administer, also when two revoke each other', async () => {
    const boss = await organization('last');
    await make({ scopes: ['read', 'write', 'delete'] }, boss);
    const { status, json } = await remove(`/keys/${await idOf(boss)}`, boss);
    expect([status, json.detail]).toEqual([
      409,
      expect.stringContaining('no key of the organization could administer keys'),
    ]);
    const second = await make({ scopes: ['admin'] }, boss);
    const answers = await Promise.all([
      remove(`/keys/${second.key_id}`, boss),
      remove(`/keys/${await idOf(boss)}`, second.api_key),
    ]);
    // 401 where the key of the second request is revoked before it is looked up.
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, expect.toBeOneOf([401, 409])]);
    const open = (await list('?state=open', answers[0]?.status === 200 ? boss : second.api_key)) as unknown as {
      scopes: string[];
    }[];
    expect(open.filter(({ scopes }) => scopes.includes('admin'))).toHaveLength(1);
  });
});

describe('GET /keys/ and GET /users/', () => {
  test('list page by page what the organization has, filtered', async () => {
    const boss = await organization('listed');
    const made: Answered[] = [];
    for (const user_name of ['ann', 'bob', 'ann', 'cid']) made.push(await make({ scopes: ['read'], user_name }, boss));
    await remove(`/keys/${made[1]?.key_id}`, boss);
    const ids = async (query: string) => (await list(query, boss)).map(({ key_id }) => key_id);
    const [first, ...rest] = await ids('');
    expect([first, rest]).toEqual([await idOf(boss), made.map(({ key_id }) => key_id)]);
    expect(await ids('?state=revoked')).toEqual([made[1]?.key_id]);
    expect(await ids('?state=expired')).toEqual([]);
    expect(await ids(`?state=open&user_id=${made[0]?.user_id.toUpperCase()}`)).toEqual([
      made[0]?.key_id,
      made[2]?.key_id,
    ]);
    const users = (await server.get('/users/', boss)).json as { name: string; open_key_count: number }[];
    expect(users.map(({ name, open_key_count }) => [name, open_key_count])).toEqual([
      ['ann', 2],
      ['bob', 0],
      ['boss', 1],
      ['cid', 1],
    ]);
    await expect
      .poll(async () => (await list('', boss))[0], { interval: 20 })
      .toMatchObject({ last_used_at: expect.any(String) });
    for (const query of ['?state=ended', '?user_id=x', '?colour=red'])
      expect((await server.get(`/keys/${query}`, boss)).status, query).toBe(422);
  });
});

describe('DELETE /users/{user_id}/keys/', () => {
  test('revokes all keys of a user and nobody else’s, but not the last that may administer', async () => {
    const boss = await organization('leaving');
    const [first, second, colleague] = [
      await make({ scopes: ['read'], user_name: 'ann' }, boss),
      await make({ scopes: ['read', 'admin'], user_name: 'ann' }, boss),
      await make({ scopes: ['read'], user_name: 'bob' }, boss),
    ];
    const { status, json } = await remove(`/users/${first.user_id}/keys/`, boss);
    expect([status, json]).toEqual([200, { user_id: first.user_id, revoked_key_ids: [first.key_id, second.key_id] }]);
    expect((await remove(`/users/${first.user_id}/keys/`, boss)).json.revoked_key_ids).toEqual([]);
    expect((await list('?state=open', boss)).map(({ key_id }) => key_id)).toEqual([await idOf(boss), colleague.key_id]);
    const own = (await findIdentity(server.database, boss))?.userId;
    expect((await remove(`/users/${own}/keys/`, boss)).status).toBe(409);
    expect((await server.get('/keys/', boss)).status).toBe(200);
  });
});

test('a session administers keys as its key does, from the page of this server alone', async () => {
  const boss = await organization('by session');
  const signedIn = await server.app.inject({ method: 'POST', url: '/session', payload: { api_key: boss } });
  const cookie = String(signedIn.headers['set-cookie']).split(';')[0] as string;
  const payload = { scopes: ['read'] };
  const from = async (site: string) =>
    (await server.app.inject({ method: 'POST', url: '/keys/', payload, headers: { cookie, 'sec-fetch-site': site } }))
      .statusCode;
  expect([await from('same-origin'), await from('same-site'), await from('cross-site')]).toEqual([201, 403, 403]);
});

test('what is done to keys stands in the audit log of the organization, with who has asked, and never the key', async () => {
  const boss = await organization('audited');
  const made = await make({ scopes: ['read'], user_name: 'ann' }, boss);
  const successor = (await server.post(`/keys/${made.key_id}/rotate`, {}, boss)).json;
  await remove(`/keys/${made.key_id}`, boss);
  await remove(`/keys/${made.key_id}`, boss);
  await remove(`/users/${made.user_id}/keys/`, boss);
  expect((await remove(`/keys/${await idOf(boss)}`, boss)).status).toBe(409);
  const { json, text } = await server.get('/audit/', boss);
  type Entry = { action: string; actor: string; key_id: number | null; of_key_id: number | null };
  const entries = (json.entries as Entry[]).filter(({ actor }) => actor === 'key').reverse();
  const by = await idOf(boss);
  expect(entries.map(({ action, key_id, of_key_id }) => [action, key_id, of_key_id])).toEqual([
    ['user.create', by, null],
    ['key.create', by, made.key_id],
    ['key.rotate', by, successor.key_id],
    ['key.revoke', by, made.key_id],
    ['key.revoke', by, successor.key_id],
  ]);
  for (const { api_key } of [made, successor]) expect(text).not.toContain(api_key.slice(16, 30));
});
