import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { newApiKey } from '../../src/auth/api-key.ts';
import type { Identity } from '../../src/auth/identity.ts';
import { createKey, provideKey } from '../../src/auth/keys.ts';
import { createLink } from '../../src/auth/sessions.ts';
import { findIdentity, revokeKey } from '../../src/auth/store.ts';
import { hashToken, isToken, newToken } from '../../src/auth/tokens.ts';
import { startTestServer, type TestConfig, type TestLimits, type TestServer } from '../support/test-server.ts';
import { ask, type BrowserAnswer, cookieOf } from './support/browser.ts';
import { type ListeningApp, openConnection, startListeningApp } from './support/listening-app.ts';

/* Signing in, and what a cookie opens: over sockets, with the headers that browsers send. */

let server: TestServer;
let listening: ListeningApp;
/** A key is looked up again at once. */
const eager: TestLimits = { auth: { keyCacheMsMax: 0 } };

beforeAll(async () => {
  server = await startTestServer();
  listening = await startListeningApp(server.database, {}, eager);
});
afterAll(async () => {
  await listening?.close();
  await server?.close();
});

async function another(config: TestConfig = {}, limits: TestLimits = {}): Promise<ListeningApp> {
  const opened = await startListeningApp(server.database, config, { ...eager, ...limits });
  onTestFinished(() => opened.close());
  return opened;
}

const signIn = (body: unknown, headers: Record<string, string> = {}, port = listening.port) =>
  ask(port, 'POST', '/session', { body, headers });
const pageOf = (port: number) => ({ origin: `http://127.0.0.1:${port}`, 'sec-fetch-site': 'same-origin' });
const identityOf = async (key: string) => (await findIdentity(server.database, key)) as Identity;
const newKey = (terms = {}) => createKey(server.database, 'lab', 'ada', terms);
const tokenIn = (cookie: string) => cookie.slice(cookie.indexOf('=') + 1);
const change = (sql: string, cookie: string) =>
  server.owner.pool.query(`update sessions set ${sql} where token_hash = $1`, [hashToken(tokenIn(cookie))]);
const sessionsOf = async (keyId: number) =>
  (await server.owner.pool.query('select from sessions where key_id = $1', [keyId])).rowCount;
const detail = ({ json }: BrowserAnswer) => json.detail as string;

describe('signing in', () => {
  test('says who that is, and sets a cookie that no script reads and no other site gets', async () => {
    const key = await newKey({ scopes: ['read', 'write'] });
    const { keyId, organizationId, userId } = await identityOf(key);
    const answer = await signIn({ api_key: key });
    expect(answer.status).toBe(200);
    expect(answer.json).toEqual({
      organization_id: organizationId,
      organization_name: 'lab',
      user_id: userId,
      user_name: 'ada',
      key_id: keyId,
      scopes: ['read', 'write'],
      expires_at: expect.stringMatching(/^\d{4}-.*Z$/),
    });
    const seconds = (Date.parse(answer.json.expires_at) - Date.now()) / 1_000;
    expect(seconds).toBeGreaterThan(3_500);
    expect(seconds).toBeLessThan(3_700);
    expect(answer.headers['set-cookie']).toEqual([
      expect.stringMatching(
        new RegExp(`^metrology_session_${listening.port}=mss1_\\w+; Path=/; Max-Age=3600; HttpOnly; SameSite=Strict$`),
      ),
    ]);
    expect(answer.headers['cache-control']).toBe('no-store');
    const { rows } = await server.owner.pool.query('select * from sessions where key_id = $1', [keyId]);
    expect(rows).toHaveLength(1);
    const token = tokenIn(cookieOf(answer));
    expect(rows[0].token_hash).toEqual(hashToken(token));
    expect(JSON.stringify(rows)).not.toContain(token);
    expect(listening.logged()).not.toContain(token);
    expect(listening.logged()).not.toContain(key);
  });

  test('is refused as any request under such a key is', async () => {
    const revoked = await newKey();
    await revokeKey(server.database, (await identityOf(revoked)).keyId);
    for (const key of [newApiKey(), 'nonsense', revoked, '', 'k'.repeat(1_000)]) {
      const { status, json, headers } = await signIn({ api_key: key });
      expect([status, json]).toEqual([401, { detail: 'This API key is unknown, revoked or expired.' }]);
      expect(headers['set-cookie']).toBeUndefined();
    }
    const cut = await signIn({ api_key: server.keys.ada.slice(0, -1) });
    expect([cut.status, detail(cut)]).toEqual([401, expect.stringContaining('cut or mistyped')]);
    const unread = await signIn({ api_key: await newKey({ scopes: ['write'] }) });
    expect([unread.status, unread.json]).toEqual([403, { detail: 'This API key lacks the scope "read".' }]);
  });

  test('takes one of key and link, and echoes nothing of a body that is wrong', async () => {
    const key = server.keys.ada;
    const wrong = [
      {},
      { api_key: key, token: key },
      { api_key: [key] },
      { token: { key } },
      [key],
      `"${key}"`,
      { key },
      null,
    ];
    for (const body of wrong) {
      const answer = await signIn(body);
      expect([JSON.stringify(body).length, answer.status]).toEqual([expect.any(Number), 422]);
      expect(answer.text).not.toContain(key.slice(5, 30));
    }
    const broken = await signIn(`{"api_key": ${key}}`);
    expect([broken.status, broken.text.includes(key.slice(5, 30))]).toEqual([400, false]);
    const plain = await signIn(`api_key=${key}`, { 'content-type': 'application/x-www-form-urlencoded' });
    expect(plain.status).toBe(415);
    expect(listening.logged()).not.toContain(key);
  });

  test('is another session each time, whatever cookie came along', async () => {
    const first = cookieOf(await signIn({ api_key: server.keys.ada }));
    const planted = first.replace(/mss1_\w+/, newToken('session'));
    const second = cookieOf(await signIn({ api_key: server.keys.ada }, { cookie: planted }));
    const third = cookieOf(await signIn({ api_key: server.keys.ada }, { cookie: first }));
    expect(new Set([first, planted, second, third]).size).toBe(4);
    expect((await ask(listening.port, 'GET', '/session', { headers: { cookie: planted } })).status).toBe(401);
  });

  test('is for pages of this server alone: another one cannot put its session into a browser', async () => {
    const body = { api_key: server.keys.ada };
    const { port } = listening;
    const from = (headers: Record<string, string>) => signIn(body, headers).then(({ status }) => status);
    expect(await from(pageOf(port))).toBe(200);
    expect(await from({ origin: `http://127.0.0.1:${port}` })).toBe(200);
    expect(await from({ origin: 'http://127.0.0.1:1' })).toBe(403);
    expect(await from({ origin: 'null' })).toBe(403);
    expect(await from({ 'sec-fetch-site': 'cross-site' })).toBe(403);
    expect(await from({ 'sec-fetch-site': 'same-site' })).toBe(403);
    const listed = await another({ CORS_ORIGINS: 'https://other.example' });
    expect((await signIn(body, { origin: 'https://other.example' }, listed.port)).status).toBe(403);
  });

  test('takes a small body only, and not for long', async () => {
    const small = await another({}, { http: { strangerBodyStallMsMax: 100, strangerBodiesBytesMax: 2_000 } });
    const long = await signIn({ api_key: 'k'.repeat(5_000) }, {}, small.port);
    expect([long.status, detail(long)]).toEqual([413, expect.stringContaining('4096 bytes (strangerBodyBytesMax)')]);
    const escaped = server.keys.ada.replace(
      /./g,
      (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
    expect((await signIn(`{"api_key":"${escaped}"}`, {}, small.port)).status).toBe(200);
    const slow = await openConnection(small.port);
    await slow.send(
      'POST /session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{',
    );
    const late = await slow.answer();
    expect([late.status, late.body]).toEqual([408, expect.stringContaining('100 ms')]);
    slow.socket.destroy();
  });

  test('has a room of its own: bodies of strangers that fill it keep no chunk waiting', async () => {
    const bounds = { strangerBodiesBytesMax: 4_000, strangerBodyStallMsMax: 60_000, roomWaitMsMax: 200 };
    const small = await another({}, { http: bounds });
    const held = await Promise.all(Array.from({ length: 4 }, () => openConnection(small.port)));
    onTestFinished(() => held.forEach(({ socket }) => void socket.destroy()));
    const head = 'Host: x\r\nContent-Type: application/json\r\nContent-Length: 3000\r\n\r\n';
    for (const { send } of held) await send(`POST /session HTTP/1.1\r\n${head}${' '.repeat(2_900)}`);
    // One of them is told so when it has waited; none of the others has anything of it.
    const told = await Promise.race(held.map(({ answer }) => answer()));
    expect([told.status, told.body]).toEqual([503, expect.stringContaining('4000')]);
    const chunk = { points_per_chunk: 1 };
    const headers = { 'x-api-key': server.keys.ada };
    expect((await ask(small.port, 'POST', '/metrology/stream/initialize', { headers, body: chunk })).status).toBe(200);
  });
});

describe('a cookie', () => {
  const session = async (key = server.keys.ada) => ({ cookie: cookieOf(await signIn({ api_key: key })) });
  const get = (path: string, headers: Record<string, string>, port = listening.port) =>
    ask(port, 'GET', path, { headers });

  test('counts where a key does, for reads and for writes of the own page', async () => {
    const own = await session();
    const who = await get('/session', own);
    expect([who.status, who.json.user_name, who.json.expires_at]).toEqual([200, 'ada', expect.any(String)]);
    expect((await get('/data_entries/', own)).status).toBe(200);
    const headers = { ...own, ...pageOf(listening.port) };
    const made = await ask(listening.port, 'POST', '/tags/', { headers, body: { name: 'by cookie' } });
    expect(made.status).toBe(201);
    const opened = await ask(listening.port, 'POST', '/metrology/stream/initialize', {
      headers,
      body: { points_per_chunk: 1 },
    });
    expect(opened.status).toBe(200);
    const { data_id } = opened.json;
    const chunk = { data_id, chunk_index: 0, channel_name: 'p', timestamps: [1], values: [1] };
    expect((await ask(listening.port, 'POST', '/metrology/stream/chunk', { headers, body: chunk })).status).toBe(201);
    const rival = await session(server.keys.rival);
    expect((await get(`/metrology/${data_id}/timeseries/`, rival)).status).toBe(404);
    expect((await get(`/metrology/${data_id}/timeseries/`, own)).status).toBe(200);
  });

  test('has the scopes of its key, and signs out with any', async () => {
    const { cookie } = await session(await newKey({ scopes: ['read'] }));
    const headers = { cookie, ...pageOf(listening.port) };
    const write = await ask(listening.port, 'POST', '/tags/', { headers, body: { name: 'x' } });
    expect([write.status, detail(write)]).toEqual([403, 'This API key lacks the scope "write".']);
    const closed = await another({ METRICS_OPEN: false });
    const ofAll = cookieOf(await signIn({ api_key: server.keys.ada }, {}, closed.port));
    expect((await get('/metrics', { cookie: ofAll }, closed.port)).status).toBe(200);
    const reader = cookieOf(await signIn({ api_key: await newKey({ scopes: ['read'] }) }, {}, closed.port));
    expect((await get('/metrics', { cookie: reader }, closed.port)).status).toBe(403);
    expect((await ask(listening.port, 'DELETE', '/session', { headers })).status).toBe(204);
  });

  test.each([
    ['from another site', { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }],
    ['from another site that takes the name of this one', { 'sec-fetch-site': 'cross-site', origin: 'own' }],
    ['from another port of this host', { 'sec-fetch-site': 'same-site', origin: 'http://127.0.0.1:1' }],
    ['from another port, of a browser that says Origin alone', { origin: 'http://127.0.0.1:1' }],
    ['from another host whose name begins alike', { origin: 'own.evil.example' }],
    ['from nowhere that it may name', { origin: 'null' }],
    ['from what is no address', { origin: 'own/../' }],
    ['from two origins', { origin: 'own, https://evil.example' }],
  ])('changes nothing when it comes %s, and reads nothing', async (_where, given) => {
    const own = await session();
    const origin = given.origin.replace('own', `http://127.0.0.1:${listening.port}`);
    const headers = { ...own, ...given, origin };
    for (const [method, path] of [
      ['POST', '/tags/'],
      ['PATCH', '/data_entries/00000000-0000-4000-8000-000000000001'],
      ['DELETE', '/session'],
    ] as const) {
      const answer = await ask(listening.port, method, path, { headers, ...(method !== 'DELETE' && { body: {} }) });
      expect([method, answer.status, detail(answer)]).toEqual([
        method,
        403,
        expect.stringContaining('comes from elsewhere'),
      ]);
    }
    expect((await get('/data_entries/', headers)).status).toBe(403);
    expect((await get('/session', own)).status).toBe(200);
  });

  test('of a request that does not say whence it comes reads, and changes nothing', async () => {
    const own = await session();
    expect((await get('/data_entries/', own)).status).toBe(200);
    expect((await get('/data_entries/', { ...own, 'sec-fetch-site': 'none' })).status).toBe(200);
    for (const headers of [own, { ...own, 'sec-fetch-site': 'none' }]) {
      const write = await ask(listening.port, 'POST', '/tags/', { headers, body: { name: 'x' } });
      expect(write.status).toBe(403);
    }
  });

  test('comes by the address of a proxy', async () => {
    const { port } = listening;
    const own = async (address: Record<string, string>, origin: string, to = port) => {
      const cookie = cookieOf(await signIn({ api_key: server.keys.ada }, address, to));
      const headers = { ...address, cookie, origin };
      return (await ask(to, 'POST', '/tags/', { headers, body: { name: 'proxied' } })).status;
    };
    expect(await own({ host: 'lab.example' }, 'https://lab.example')).toBeLessThan(300);
    expect(await own({ host: 'lab.example:443' }, 'https://lab.example')).toBeLessThan(300);
    expect(await own({ host: 'LAB.example:8080' }, 'http://lab.example:8080')).toBeLessThan(300);
    expect(await own({ host: '[::1]:8000' }, 'http://[::1]:8000')).toBeLessThan(300);
    expect(await own({ host: 'inner', 'x-forwarded-host': 'lab.example' }, 'https://lab.example')).toBeLessThan(300);
    expect(await own({ host: 'inner' }, 'https://lab.example')).toBe(403);
    // A proxy that does not pass Host on: then the operator says where the page is.
    const said = await another({ PUBLIC_URL: 'https://lab.example/metrology/' });
    expect(await own({ host: 'inner' }, 'https://lab.example', said.port)).toBeLessThan(300);
    expect(await own({ host: `127.0.0.1:${said.port}` }, `http://127.0.0.1:${said.port}`, said.port)).toBeLessThan(300);
    expect(await own({ host: 'inner' }, 'https://other.example', said.port)).toBe(403);
  });

  test('is Secure when the page came by https, and not otherwise', async () => {
    const secure = async (headers: Record<string, string>, port = listening.port) =>
      /; Secure/.test(String((await signIn({ api_key: server.keys.ada }, headers, port)).headers['set-cookie']));
    const host = 'lab.example';
    expect(await secure({ host, origin: 'https://lab.example' })).toBe(true);
    expect(await secure({ host, origin: 'http://lab.example' })).toBe(false);
    // What the browser says stands above what stands between.
    expect(await secure({ host, origin: 'http://lab.example', 'x-forwarded-proto': 'https' })).toBe(false);
    expect(await secure({ host, 'x-forwarded-proto': 'https' })).toBe(true);
    expect(await secure({ host, 'x-forwarded-proto': 'http' })).toBe(false);
    expect(await secure({ host })).toBe(false);
    const said = await another({ PUBLIC_URL: 'https://lab.example' });
    expect(await secure({ host }, said.port)).toBe(true);
    expect(await secure({ host, 'x-forwarded-proto': 'http' }, said.port)).toBe(true);
    expect(await secure({ host: 'inner:8000', origin: 'http://inner:8000' }, said.port)).toBe(false);
  });

  test('stands below a key that comes along', async () => {
    const own = await session();
    const rival = await get('/session', { ...own, 'x-api-key': server.keys.rival });
    expect([rival.status, rival.json.organization_name, rival.json.expires_at]).toEqual([200, 'rival', null]);
    expect((await get('/session', { ...own, 'x-api-key': 'wrong' })).status).toBe(401);
    // A page of another origin cannot send one.
    const headers = { ...own, 'x-api-key': server.keys.ada, origin: 'https://other.example' };
    expect((await ask(listening.port, 'POST', '/tags/', { headers, body: { name: 'by key' } })).status).toBeLessThan(
      300,
    );
    expect((await get('/session', own)).status).toBe(200);
  });

  test('is found among others, and what cannot be one is refused without the database', async () => {
    const { cookie } = await session();
    const name = cookie.split('=')[0];
    expect((await get('/session', { cookie: `a=b; ${name}=old;${cookie} ; other="x"` })).status).toBe(200);
    await server.owner.pool.query('alter table sessions rename to sessions_away');
    try {
      const token = tokenIn(cookie);
      for (const wrong of [
        '',
        'x',
        token.slice(0, -1),
        `${token}x`,
        server.keys.ada,
        newToken('link'),
        token.replace(/.$/, '~'),
      ]) {
        const { status, json } = await get('/session', { cookie: `${name}=${wrong}` });
        expect([status, json]).toEqual([401, { detail: 'An API key is required in the header X-API-KEY.' }]);
      }
      expect((await get('/session', { cookie: `metrology_session=${token}` })).status).toBe(401);
    } finally {
      await server.owner.pool.query('alter table sessions_away rename to sessions');
    }
    // It is a key to nothing.
    expect((await get('/session', { 'x-api-key': tokenIn(cookie) })).status).toBe(401);
  });

  test('opens no more when it is signed out, here at once, and is taken from the browser', async () => {
    const own = await session();
    const out = await ask(listening.port, 'DELETE', '/session', { headers: { ...own, ...pageOf(listening.port) } });
    expect([out.status, out.text]).toEqual([204, '']);
    expect(out.headers['set-cookie']).toEqual([expect.stringMatching(/^metrology_session_\d+=; Path=\/; Max-Age=0;/)]);
    const remembering = await another({}, { auth: { keyCacheMsMax: 60_000 } });
    const cookie = cookieOf(await signIn({ api_key: server.keys.ada }, {}, remembering.port));
    expect((await get('/session', { cookie }, remembering.port)).status).toBe(200);
    const headers = { cookie, ...pageOf(remembering.port) };
    expect((await ask(remembering.port, 'DELETE', '/session', { headers })).status).toBe(204);
    for (const [cookieThen, port] of [
      [own.cookie, listening.port],
      [cookie, remembering.port],
    ] as const) {
      const after = await get('/session', { cookie: cookieThen }, port);
      expect([after.status, after.json]).toEqual([401, { detail: 'This session has ended: sign in again.' }]);
    }
  });

  test('ends at its time, with its key and with the end of its key', async () => {
    const [expired, revoked, ended, renewed] = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const key = await newKey();
        return { key, keyId: (await identityOf(key)).keyId, ...(await session(key)) };
      }),
    );
    if (!expired || !revoked || !ended || !renewed) throw new Error('four');
    await change(`expires_at = now()`, expired.cookie);
    await revokeKey(server.database, revoked.keyId);
    await server.owner.pool.query(`update api_keys set expires_at = now() where key_id = $1`, [ended.keyId]);
    for (const { cookie } of [expired, revoked, ended]) expect((await get('/session', { cookie })).status).toBe(401);
    expect((await get('/session', { cookie: renewed.cookie })).status).toBe(200);
  });

  test('counts on every server, and after a restart', async () => {
    const { cookie } = await session();
    // A browser sends it to another port of the same host under the name that this port has.
    const token = tokenIn(cookie);
    const [second, third] = [await another(), await another()];
    for (const { port } of [second, third]) {
      expect((await get('/session', { cookie: `metrology_session_${port}=${token}` }, port)).status).toBe(200);
    }
    const headers = { cookie: `metrology_session_${second.port}=${token}`, ...pageOf(second.port) };
    expect((await ask(second.port, 'DELETE', '/session', { headers })).status).toBe(204);
    expect((await get('/session', { cookie: `metrology_session_${third.port}=${token}` }, third.port)).status).toBe(
      401,
    );
  });

  test('notes the use of its key', async () => {
    const key = await newKey();
    const { keyId } = await identityOf(key);
    const own = await session(key);
    await server.owner.pool.query('update api_keys set last_used_at = null where key_id = $1', [keyId]);
    await get('/session', own);
    const lastUse = async () =>
      (await server.owner.pool.query('select last_used_at from api_keys where key_id = $1', [keyId])).rows[0]
        .last_used_at;
    await expect.poll(lastUse).toEqual(expect.any(String));
  });

  test('of a key that has sessionsPerKeyMax pushes the oldest out, and what has ended is removed', async () => {
    const few = await another({}, { auth: { sessionsPerKeyMax: 3, endedSweptMax: 2 } });
    const key = await newKey();
    const { keyId } = await identityOf(key);
    const cookies: string[] = [];
    for (let i = 0; i < 5; i++) cookies.push(cookieOf(await signIn({ api_key: key }, {}, few.port)));
    const statuses = await Promise.all(
      cookies.map((cookie) => get('/session', { cookie }, few.port).then(({ status }) => status)),
    );
    expect(statuses).toEqual([401, 401, 200, 200, 200]);
    expect(await sessionsOf(keyId)).toBe(3);
    await server.owner.pool.query(`update sessions set expires_at = now() - interval '1 year' where key_id = $1`, [
      keyId,
    ]);
    await signIn({ api_key: server.keys.grace }, {}, few.port);
    expect(await sessionsOf(keyId)).toBe(1);
    await signIn({ api_key: server.keys.grace }, {}, few.port);
    expect(await sessionsOf(keyId)).toBe(0);
  });
});

describe('a link', () => {
  const link = async (key: string) =>
    (await createLink(server.database, (await identityOf(key)).keyId))?.token as string;
  const refused = [401, { detail: 'This link is unknown, was used or is over.' }];

  test('signs in once, also when two use it at once', async () => {
    const key = await newKey();
    const token = await link(key);
    expect(isToken('link', token)).toBe(true);
    const answers = await Promise.all(Array.from({ length: 8 }, () => signIn({ token })));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array.from({ length: 7 }, () => 401)]);
    const [first] = answers.filter(({ status }) => status === 200) as [BrowserAnswer];
    expect(first.json.key_id).toBe((await identityOf(key)).keyId);
    const cookie = cookieOf(first);
    expect((await ask(listening.port, 'GET', '/data_entries/', { headers: { cookie } })).status).toBe(200);
    expect(await sessionsOf(first.json.key_id)).toBe(1);
    const again = await signIn({ token });
    expect([again.status, again.json]).toEqual(refused);
  });

  test('is worth ten minutes, by the clock of the database, and no more than its key', async () => {
    const key = await newKey();
    const move = (token: string, minutes: number) =>
      server.owner.pool.query(
        `update sign_in_links set expires_at = expires_at - make_interval(mins => $2) where token_hash = $1`,
        [hashToken(token), minutes],
      );
    const [soon, late, revoked] = [await link(key), await link(key), await link(key)];
    await move(soon, 9);
    await move(late, 10);
    expect((await signIn({ token: soon })).status).toBe(200);
    const over = await signIn({ token: late });
    expect([over.status, over.json]).toEqual(refused);
    await revokeKey(server.database, (await identityOf(key)).keyId);
    expect((await signIn({ token: revoked })).status).toBe(401);
    expect(await createLink(server.database, 9_999_999)).toBeUndefined();
  });

  test('is no session, and a session is no link; what cannot be one is not looked up', async () => {
    const token = await link(server.keys.ada);
    const name = `metrology_session_${listening.port}`;
    expect((await ask(listening.port, 'GET', '/session', { headers: { cookie: `${name}=${token}` } })).status).toBe(
      401,
    );
    const session = tokenIn(cookieOf(await signIn({ api_key: server.keys.ada })));
    expect((await signIn({ token: session })).json).toEqual(refused[1]);
    await server.owner.pool.query('alter table sign_in_links rename to links_away');
    try {
      for (const wrong of ['', 'x', token.slice(1), `${token}x`, session])
        expect((await signIn({ token: wrong })).status).toBe(401);
    } finally {
      await server.owner.pool.query('alter table links_away rename to sign_in_links');
    }
    expect((await signIn({ token })).status).toBe(200);
  });

  test('comes with the first key and with no later start', async () => {
    const config = { BOOTSTRAP_API_KEY: newApiKey(), DATA_DIR: '/nonexistent' };
    const first = await provideKey(server.database, config, true);
    expect(first).toMatchObject({ kind: 'bootstrap', linkToken: expect.stringMatching(/^msl1_/) });
    expect(await provideKey(server.database, config, true)).toEqual({ kind: 'bootstrap', linkToken: undefined });
    const answer = await signIn({ token: first.linkToken });
    expect([answer.status, answer.json.organization_name]).toEqual([200, 'default']);
  });
});
