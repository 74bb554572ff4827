import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { apiKeyHint, hashApiKey, isMistyped, newApiKey, publicIdOf } from '../../src/auth/api-key.ts';
import { type Scope, scopes } from '../../src/auth/identity.ts';
import { createKey, importKey, provideKey } from '../../src/auth/keys.ts';
import { authLimits } from '../../src/auth/limits.ts';
import { findIdentity, revokeKey } from '../../src/auth/store.ts';
import { contract } from '../../src/contract.ts';
import { type ListeningApp, startListeningApp } from '../http/support/listening-app.ts';
import { everyKey } from '../support/every-key.ts';
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
  await server.owner.pool.query(`update api_keys set ${change} where key_hash = $1::bytea`, [hashApiKey(key)]);
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
      server.keys.ada.slice(1),
      `msk_${'x'.repeat(43)}`,
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

  test('with a key of this server that is cut or mistyped is told so, without a look-up', async () => {
    const { ada } = server.keys;
    const swapped = ada.replace(/(..)(..)$/, '$2$1');
    const mistyped = [`${ada}x`, ada.slice(0, -1), ada.toLowerCase(), 'msk1_', swapped];
    await server.owner.pool.query('alter table api_keys rename to api_keys_away');
    try {
      for (const key of mistyped.filter((one) => one !== ada)) {
        const { status, json } = await server.get('/data_entries/', key);
        expect({ status, json }).toEqual({
          status: 401,
          json: { detail: 'This API key is cut or mistyped: its checksum does not fit.' },
        });
      }
      // What no key can be is not looked up either; what may be one is.
      for (const key of ['short', 'k'.repeat(contract.keyLengthMax + 1)]) {
        expect((await server.get('/data_entries/', key)).status).toBe(401);
      }
      const { status, json } = await server.get('/data_entries/', newApiKey());
      // The failure made the server look at what it stands on.
      expect({ status, json }).toMatchObject({ status: 503, json: { detail: expect.stringContaining('api_keys') } });
    } finally {
      await server.owner.pool.query('alter table api_keys_away rename to api_keys');
    }
  });

  test('stops to be let in soon after its key is revoked', async () => {
    const key = await createKey(server.database, 'lab', 'ada');
    expect((await server.get('/tags/', key)).status).toBe(200);
    await revokeKey(server.database, await keyId(key));
    const deadline = Date.now() + authLimits.keyCacheMsMax + 500;
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
  const imported = 'SecretOfAnotherService/0123456789';
  await importKey(server.database, imported, 'lab', 'ada', { scopes: ['write'] });
  const mistyped = `${ada.slice(0, -1)}-`;
  const requests = [
    { method: 'GET', url: '/tags/', key: imported },
    { method: 'POST', url: '/tags/', key: imported, payload: '{"name":null}' },
    { method: 'GET', url: '/tags/', key: mistyped },
    { method: 'GET', url: '/tags/', key: `${secret} ${ada}` },
    { method: 'GET', url: '/%zz', key: ada },
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
  await server.owner.pool.query('alter table tags rename to tags_away');
  await send({ method: 'GET', url: '/tags/', key: ada } as never);
  await server.owner.pool.query('alter table tags_away rename to tags');
  expect(texts.at(-2)).toBe('{"detail":"Internal error; see the log of the server."}');
  expect(listening.logged()).toContain('tags');
  expect(listening.logged()).toContain('"stack"');
  texts.push((await listening.app.inject('/metrics')).payload);
  expect(texts.at(-1)).toContain('metrology_http_request_duration_seconds_count{method="GET",route="/tags/"');
  for (const text of [...texts, listening.logged()]) {
    for (const key of [secret, ada])
      for (const part of [key.slice(16, 26), key.slice(-12, -2)]) expect(text).not.toContain(part);
    expect(text).not.toContain(imported.slice(0, 12));
    expect(text).not.toContain(hashApiKey(ada).toString('hex').slice(0, 12));
  }
});

describe('keys', () => {
  test('are random, carry the prefix and rest in the database by their hash only', async () => {
    const made = Array.from({ length: 500 }, newApiKey);
    expect(new Set(made).size).toBe(500);
    for (const key of made) expect(key).toMatch(/^msk1_[0-9A-Za-z]{10}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}$/);
    expect(new Set(made.map(publicIdOf))).toEqual(new Set(made.map((key) => key.slice(5, 15))));
    // Each of the 62 characters turns up about 347 times in 21,500; one in five thousand tests of this kind would fail.
    const counts = new Map<string, number>();
    for (const character of made.map((key) => key.slice(16, 59)).join('')) {
      counts.set(character, (counts.get(character) ?? 0) + 1);
    }
    expect(counts.size).toBe(62);
    expect(Math.min(...counts.values())).toBeGreaterThan(250);
    expect(Math.max(...counts.values())).toBeLessThan(450);

    const key = await createKey(server.database, 'lab', 'ada');
    const { rows } = await server.owner.pool.query('select to_jsonb(k)::text as row from api_keys k');
    expect(rows.map(({ row }) => row).join()).not.toContain(key.slice(16, 30));
    expect(apiKeyHint(key)).toBe(key.slice(0, 15));
    expect(apiKeyHint('sixteen-letters!')).toBe('sixt');
    expect(apiKeyHint('k'.repeat(512))).toHaveLength(10);
  });

  test('with one wrong, one swapped or one missing character are told from whole ones', () => {
    const key = newApiKey();
    expect(isMistyped(key)).toBe(false);
    for (let i = 5; i < key.length; i++) {
      expect(isMistyped(key.slice(0, i) + key.slice(i + 1)), `without character ${i}`).toBe(true);
      const other = key[i] === 'x' ? 'y' : 'x';
      expect(isMistyped(key.slice(0, i) + other + key.slice(i + 1)), `with another character ${i}`).toBe(true);
      if (i > 5 && key[i] !== key[i - 1]) {
        const swapped = `${key.slice(0, i - 1)}${key[i]}${key[i - 1]}${key.slice(i + 1)}`;
        expect(isMistyped(swapped), `swapped at ${i}`).toBe(true);
      }
    }
    expect(isMistyped('anything else')).toBe(false);
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
    const listed = (await everyKey(server.database)).find((one) => one.key_id === id);
    expect(listed).toMatchObject({
      organization_name: 'lab',
      user_name: 'grace',
      revoked_at: null,
      key_hint: key.slice(0, 15),
    });
    expect(JSON.stringify(listed)).not.toContain(key.slice(16, 26));
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
      expect(await provideKey(server.database, config, false)).toMatchObject({ kind: 'bootstrap' });
    }
    const listed = (await everyKey(server.database)).filter((key) => key.organization_name === 'default');
    expect(listed).toHaveLength(1);
    expect((await server.get('/data_entries/', bootstrap)).status).toBe(200);
  });

  test('refuses a bootstrap key that was revoked or is of another organization, without showing it', async () => {
    const mistyped = `${newApiKey().slice(0, -1)}-`;
    const refusing = provideKey(server.database, { BOOTSTRAP_API_KEY: mistyped, DATA_DIR: '/nonexistent' }, false);
    await expect(refusing).rejects.toThrow('BOOTSTRAP_API_KEY begins with msk1_, but it is cut or mistyped.');
    await revokeKey(server.database, await keyId(bootstrap));
    for (const key of [bootstrap, server.keys.rival]) {
      const failing = provideKey(server.database, { BOOTSTRAP_API_KEY: key, DATA_DIR: '/nonexistent' }, false);
      await expect(failing).rejects.toThrow(/^BOOTSTRAP_API_KEY .*revoked or belongs to another/);
      await failing.catch((error: Error) => expect(error.message).not.toContain(key));
    }
  });
});
