import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { apiKeyHint, hashApiKey, newApiKey } from '../../src/auth/api-key.ts';
import { createKey, provideKey } from '../../src/auth/keys.ts';
import { findIdentity, listKeys, revokeKey, type Scope, scopes } from '../../src/auth/store.ts';
import { limits } from '../../src/config.ts';
import { type ListeningApp, startListeningApp } from '../http/listening-app.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

let server: TestServer;
let listening: ListeningApp;

beforeAll(async () => {
  server = await startTestServer();
  listening = await startListeningApp(server.database);
});
afterAll(async () => {
  await listening?.close();
  await server?.close();
});

/** A key changed by SQL after it was made. */
async function keyWith(change: string): Promise<string> {
  const key = await createKey(server.database, 'lab', 'ada');
  await server.database.pool.query(`update api_keys set ${change} where key_hash = $1::bytea`, [hashApiKey(key)]);
  return key;
}
const keyId = async (key: string) => (await findIdentity(server.database, key))?.keyId as number;

describe('a request', () => {
  test('without a key is refused with a sentence that says where it belongs', async () => {
    for (const key of [null, '']) {
      const { status, json } = await server.get('/data_entries/', key);
      expect({ status, json }).toEqual({
        status: 401,
        json: { detail: 'An API key is required in the header X-API-KEY.' },
      });
    }
  });

  test('with a key that does not open is refused alike, whatever the reason', async () => {
    const revoked = await createKey(server.database, 'lab', 'ada');
    await revokeKey(server.database, await keyId(revoked));
    const refused = [
      newApiKey(),
      'nonsense',
      server.keys.ada.toLowerCase(),
      `${server.keys.ada}x`,
      server.keys.ada.slice(0, -1),
      `Bearer ${server.keys.ada}`,
      hashApiKey(server.keys.ada).toString('hex'),
      'k'.repeat(10_000),
      revoked,
      await keyWith(`expires_at = now() - interval '1 second'`),
    ];
    const answers = await Promise.all(refused.map((key) => server.get('/data_entries/', key)));
    for (const { status, json } of answers) {
      expect({ status, json }).toEqual({
        status: 401,
        json: { detail: 'This API key is unknown, revoked or expired.' },
      });
    }
    expect((await server.get('/data_entries/', await keyWith(`expires_at = now() + interval '1 hour'`))).status).toBe(
      200,
    );
  });

  test('stops to be let in soon after its key is revoked', async () => {
    const key = await createKey(server.database, 'lab', 'ada');
    expect((await server.get('/tags/', key)).status).toBe(200);
    await revokeKey(server.database, await keyId(key));
    const deadline = Date.now() + limits.keyCacheMsMax + 500;
    let { status } = await server.get('/tags/', key);
    while (status === 200 && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      ({ status } = await server.get('/tags/', key));
    }
    expect(status).toBe(401);
  });

  test('is refused before its body is looked at', async () => {
    expect((await server.post('/tool-state/stream/initialize', '{broken', null)).status).toBe(401);
    expect((await server.post('/tool-state/stream/chunk', { values: 'wrong' }, 'nonsense')).status).toBe(401);
  });

  test.each([
    ['GET', '/data_entries/', 'read'],
    ['GET', '/tags/', 'read'],
    ['POST', '/tags/', 'write'],
    ['POST', '/tool-state/stream/initialize', 'write'],
  ] as [string, string, Scope][])('%s %s needs the scope %s', async (method, url, scope) => {
    const lacking = await keyWith(`scopes = '{${scopes.filter((one) => one !== scope).join(',')}}'`);
    const refused = await server.send(method, url, method === 'POST' ? {} : undefined, lacking);
    expect(refused).toMatchObject({ status: 403, json: { detail: `This API key lacks the scope "${scope}".` } });
    const having = await keyWith(`scopes = '{${scope}}'`);
    expect([200, 422]).toContain((await server.send(method, url, method === 'POST' ? {} : undefined, having)).status);
  });

  test('to an open route needs no key and takes a wrong one', async () => {
    for (const url of ['/healthz', '/readyz', '/metrics', '/openapi.yaml']) {
      expect((await server.get(url, null)).status, url).toBe(200);
      expect((await server.get(url, 'nonsense')).status, url).toBe(200);
    }
  });
});

test('a key shows neither in answers nor in logs, however the request ends', async () => {
  const secret = newApiKey();
  const { ada } = server.keys;
  const requests = [
    { method: 'GET', url: '/data_entries/', key: secret },
    { method: 'GET', url: '/data_entries/', key: ada },
    { method: 'GET', url: '/nowhere', key: secret },
    { method: 'PUT', url: '/tags/', key: secret },
    { method: 'POST', url: '/tool-state/stream/initialize', key: ada, payload: '{broken' },
    { method: 'POST', url: '/tool-state/stream/initialize', key: ada, payload: '{"points_per_chunk":null}' },
    { method: 'POST', url: '/tool-state/stream/initialize', key: ada, payload: ' '.repeat(70_000) },
  ] as const;
  const texts: string[] = [];
  const send = async ({ key, ...request }: (typeof requests)[number]) => {
    const headers = { 'x-api-key': key, 'content-type': 'application/json' };
    const { payload, headers: answered } = await listening.app.inject({ ...request, headers });
    texts.push(payload, JSON.stringify(answered));
  };
  for (const request of requests) await send(request);
  // And once with a failure of the server itself, which logs an error with its stack.
  await server.database.pool.query('alter table tags rename to tags_away');
  await send({ method: 'GET', url: '/tags/', key: ada } as never);
  await server.database.pool.query('alter table tags_away rename to tags');
  expect(texts.at(-2)).toBe('{"detail":"Internal error; see the log of the server."}');
  expect(listening.logged()).toContain('tags');
  expect(listening.logged()).toContain('"stack"');
  for (const text of [...texts, listening.logged()]) {
    expect(text).not.toContain(secret.slice(4, 20));
    expect(text).not.toContain(ada.slice(4, 20));
  }
});

describe('keys', () => {
  test('are random, carry the prefix and rest in the database by their hash only', async () => {
    const made = Array.from({ length: 500 }, newApiKey);
    expect(new Set(made).size).toBe(500);
    for (const key of made) expect(key).toMatch(/^msk_[0-9A-Za-z]{43}$/);
    // Each of the 62 characters turns up about 347 times in 21,500; one in five thousand tests of this kind would fail.
    const counts = new Map<string, number>();
    for (const character of made.map((key) => key.slice(4)).join('')) {
      counts.set(character, (counts.get(character) ?? 0) + 1);
    }
    expect(counts.size).toBe(62);
    expect(Math.min(...counts.values())).toBeGreaterThan(250);
    expect(Math.max(...counts.values())).toBeLessThan(450);

    const key = await createKey(server.database, 'lab', 'ada');
    const { rows } = await server.database.pool.query('select to_jsonb(k)::text as row from api_keys k');
    expect(rows.map(({ row }) => row).join()).not.toContain(key.slice(10, 30));
    expect(apiKeyHint(key)).toBe(key.slice(0, 10));
    expect(apiKeyHint('sixteen-letters!')).toHaveLength(8);
  });

  test('belong to one user of one organization; names are matched without regard to case', async () => {
    const one = await findIdentity(server.database, await createKey(server.database, 'New Lab', 'Mia'));
    const two = await findIdentity(server.database, await createKey(server.database, 'new lab', 'MIA'));
    expect(two?.organizationId).toBe(one?.organizationId);
    expect(two?.userId).toBe(one?.userId);
    expect(two?.keyId).not.toBe(one?.keyId);
    expect(one?.scopes).toEqual([...scopes]);
    const elsewhere = await findIdentity(server.database, await createKey(server.database, 'lab', 'Mia'));
    expect(elsewhere?.userId).not.toBe(one?.userId);
  });

  test('of one new user made at once all work', async () => {
    const made = await Promise.all(Array.from({ length: 6 }, () => createKey(server.database, 'rush', 'hour')));
    const owners = await Promise.all(made.map((key) => findIdentity(server.database, key)));
    expect(new Set(owners.map((owner) => owner?.userId)).size).toBe(1);
  });

  test('are listed without themselves, and revoked once', async () => {
    const key = await createKey(server.database, 'lab', 'grace');
    const id = await keyId(key);
    const listed = (await listKeys(server.database)).find((one) => one.key_id === id);
    expect(listed).toMatchObject({ organization: 'lab', user: 'grace', revoked_at: null, key_hint: key.slice(0, 10) });
    expect(JSON.stringify(listed)).not.toContain(key.slice(0, 12));
    expect(await revokeKey(server.database, id)).toBe(true);
    expect(await revokeKey(server.database, id)).toBe(false);
    expect(await revokeKey(server.database, 999_999)).toBe(false);
  });
});

describe('provideKey', () => {
  const bootstrap = 'bootstrap-key-0123456789';

  test('makes the bootstrap key of the default organization, again and again', async () => {
    for (let i = 0; i < 2; i++) {
      const config = { BOOTSTRAP_API_KEY: bootstrap, DATA_DIR: '/nonexistent' };
      expect(await provideKey(server.database, config, false)).toEqual({ kind: 'bootstrap' });
    }
    const listed = (await listKeys(server.database)).filter((key) => key.organization === 'default');
    expect(listed).toHaveLength(1);
    expect((await server.get('/data_entries/', bootstrap)).status).toBe(200);
  });

  test('refuses a bootstrap key that was revoked or is of another organization, without showing it', async () => {
    await revokeKey(server.database, await keyId(bootstrap));
    for (const key of [bootstrap, server.keys.rival]) {
      const failing = provideKey(server.database, { BOOTSTRAP_API_KEY: key, DATA_DIR: '/nonexistent' }, false);
      await expect(failing).rejects.toThrow(/^BOOTSTRAP_API_KEY .*revoked or belongs to another/);
      await failing.catch((error: Error) => expect(error.message).not.toContain(key));
    }
  });
});
