import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test, vi } from 'vitest';
import { hashApiKey, newApiKey, publicIdOf } from '../../src/auth/api-key.ts';
import { openIdentities } from '../../src/auth/identities.ts';
import { scopes } from '../../src/auth/identity.ts';
import { createKey, importKey, rotateKey } from '../../src/auth/keys.ts';
import { authLimits } from '../../src/auth/limits.ts';
import { findIdentity, insertKey, noteKeyUse, revokeKey } from '../../src/auth/store.ts';
import { contract } from '../../src/contract.ts';
import { type Database, type OwnerDatabase, openAsOwner, openDatabase } from '../../src/database/database.ts';
import { migrate } from '../../src/database/migrate.ts';
import { everyKey } from '../support/every-key.ts';
import { administer, urlOfDatabase } from '../support/global-setup.ts';
import { cloneDatabase } from '../support/test-server.ts';

let database: Database;
let owner: OwnerDatabase;
const quiet = pino({ level: 'silent' });

beforeAll(async () => {
  const databaseUrl = await cloneDatabase();
  database = openDatabase(databaseUrl, { poolMax: 4, onIdleError: () => {} });
  owner = openAsOwner(databaseUrl, { onIdleError: () => {} });
});
afterAll(async () => {
  await Promise.all([database?.close(), owner?.close()]);
});

const opens = async (key: string) => (await findIdentity(database, key)) !== undefined;
const idOf = async (key: string) => (await findIdentity(database, key))?.keyId as number;
const listed = async (id: number) => (await everyKey(database)).find((key) => key.key_id === id);
const alter = (id: number, change: string) =>
  database.everyOrganization.upkeep.pool.query(`update api_keys set ${change} where key_id = $1::bigint`, [id]);
/** Hours from now until a time. */
const hoursUntil = (time: string | null | undefined) => (Date.parse(String(time)) - Date.now()) / 3_600_000;

describe('a key', () => {
  test('whose id is right but whose secret is not opens nothing', async () => {
    const key = await createKey(database, 'lab');
    await database.everyOrganization.upkeep.pool.query(
      'update api_keys set key_hash = $1::bytea where public_id = $2::text',
      [hashApiKey('another'), publicIdOf(key)],
    );
    expect(await opens(key)).toBe(false);
  });

  test('has the scopes it was made with; others than the four cannot be stored', async () => {
    const key = await createKey(database, 'lab', 'ada', { scopes: ['read', 'delete'] });
    expect((await findIdentity(database, key))?.scopes).toEqual(['read', 'delete']);
    expect((await findIdentity(database, await createKey(database, 'lab')))?.scopes).toEqual([...scopes]);
    for (const wrong of [['root'], []]) {
      await expect(createKey(database, 'lab', 'ada', { scopes: wrong as never })).rejects.toThrow('scopes_check');
    }
  });

  test('ends after the time or at the date that it was made with', async () => {
    const inAnHour = await createKey(database, 'lab', 'ada', { end: { inSeconds: 3_600 } });
    expect(hoursUntil((await listed(await idOf(inAnHour)))?.expires_at)).toBeCloseTo(1, 1);
    const atDate = await createKey(database, 'lab', 'ada', { end: { at: '2099-12-31T00:00:00Z' } });
    expect(await listed(await idOf(atDate))).toMatchObject({ expires_at: '2099-12-31T00:00:00Z' });
    expect(await opens(await createKey(database, 'lab', 'ada', { end: { inSeconds: 0 } }))).toBe(false);
    expect(await opens(await createKey(database, 'lab', 'ada', { end: { at: '2001-01-01T00:00:00Z' } }))).toBe(false);
  });

  test('of a database from before ids is found as it was', { timeout: 60_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'metrology-migrations-'));
    const name = `metrology_keys_${process.pid}`;
    await administer(inject('adminUrl'), `create database ${name}`);
    const url = urlOfDatabase(inject('adminUrl'), name);
    const owner = openAsOwner(url, { onIdleError: () => {} });
    const database = openDatabase(url, { poolMax: 2, onIdleError: () => {} });
    try {
      const shipped = fileURLToPath(new URL('../../migrations/', import.meta.url));
      for (const file of await readdir(shipped)) if (file < '0006') await cp(join(shipped, file), join(folder, file));
      await migrate(owner, { folder: pathToFileURL(`${folder}/`) });
      const keys = [`msk_${'Ab3'.repeat(14)}x`, 'a-bootstrap-key-of-any-form'];
      for (const key of keys) {
        await owner.pool.query(
          `with o as (insert into organizations (name) values ($2::text) returning organization_id),
                u as (insert into users (organization_id, name) select organization_id, 'ada' from o returning *)
           insert into api_keys (organization_id, user_id, key_hash, key_hint)
           select organization_id, user_id, $1::bytea, 'hint' from u`,
          [hashApiKey(key), key],
        );
      }
      await migrate(owner);
      for (const key of keys) expect((await findIdentity(database, key))?.scopes, key).toEqual([...scopes]);
    } finally {
      await Promise.all([owner.close(), database.close()]);
      await administer(inject('adminUrl'), `drop database ${name} with (force)`);
      await rm(folder, { recursive: true });
    }
  });
});

describe('importKey', () => {
  const take = (key: string) => importKey(database, key, 'lab', 'ada', { scopes: ['read'] });

  test.each([
    ['the shortest', 'sixteen-letters!'],
    ['the longest', 'x'.repeat(contract.keyLengthMax)],
    ['a UUID', '5f0c6a1e-6f8f-4f9e-8f0a-3b3a0a7f0c11'],
    ['one of the form of old', `msk_${'Q'.repeat(43)}`],
    ['one of another server', newApiKey()],
  ])('takes %s as it is, once', async (_what, key) => {
    const id = await take(key);
    expect(await findIdentity(database, key)).toMatchObject({ keyId: id, scopes: ['read'] });
    await expect(take(key)).rejects.toThrow(/^This key is stored already\.$/);
    expect(key.startsWith((await listed(id))?.key_hint as string)).toBe(true);
  });

  test.each([
    ['too short', 'fifteen-letters'],
    ['too long', 'x'.repeat(contract.keyLengthMax + 1)],
    ['with a space', 'sixteen letters and'],
    ['of two lines', 'sixteen-letters!\nsixteen-letters!'],
    ['beyond ASCII', 'sechzehn-Zeichen-ä'],
    ['mistyped', `${newApiKey().slice(0, -1)}!`],
  ])('refuses one that is %s, without showing it', async (_why, key) => {
    const refused = await take(key).catch((error: Error) => error.message);
    expect(refused).toMatch(/16 to 512 ASCII|cut or mistyped/);
    expect(refused).not.toContain(key.slice(5, 15));
  });
});

describe('rotateKey', () => {
  test('both keys open until the overlap is over; the new one is like the old', async () => {
    const old = await createKey(database, 'lab', 'ada', { scopes: ['read', 'write'] });
    const id = await idOf(old);
    const made = await rotateKey(database, id, 24 * 3_600);
    expect(await findIdentity(database, made.key)).toEqual({
      ...(await findIdentity(database, old)),
      keyId: made.keyId,
    });
    expect(hoursUntil(made.oldExpiresAt)).toBeCloseTo(24, 1);
    expect(await listed(id)).toMatchObject({ expires_at: made.oldExpiresAt });
    expect(await listed(made.keyId)).toMatchObject({ expires_at: null, replaces_key_id: id });
    await alter(id, `expires_at = now() - interval '1 second'`);
    expect([await opens(old), await opens(made.key)]).toEqual([false, true]);
  });

  test('a key that ends earlier than the overlap keeps its end, and its successor lasts as long as it', async () => {
    const id = await idOf(await createKey(database, 'lab', 'ada', { end: { inSeconds: 10 * 3_600 } }));
    await alter(id, `created_at = created_at - interval '90 hours'`);
    const made = await rotateKey(database, id, 24 * 3_600);
    expect(hoursUntil(made.oldExpiresAt)).toBeCloseTo(10, 1);
    expect(hoursUntil((await listed(made.keyId))?.expires_at)).toBeCloseTo(100, 1);
    const shorter = await rotateKey(database, made.keyId, 0, { inSeconds: 3_600 });
    expect(hoursUntil((await listed(shorter.keyId))?.expires_at)).toBeCloseTo(1, 1);
    expect(await opens(made.key)).toBe(false);
  });

  test('only one successor is made, also by many at once; none of what does not open', async () => {
    const id = await idOf(await createKey(database, 'lab', 'ada'));
    const tries = await Promise.allSettled([1, 2, 3, 4].map(() => rotateKey(database, id, 3_600)));
    expect(tries.filter((one) => one.status === 'fulfilled')).toHaveLength(1);
    const sentence = `There is no key ${id} that still opens and was not rotated yet.`;
    for (const one of tries) if (one.status === 'rejected') expect(one.reason.message).toBe(sentence);
    await expect(rotateKey(database, id, 3_600)).rejects.toThrow(sentence);
    const successor = (await everyKey(database)).find((key) => key.replaces_key_id === id)?.key_id as number;
    await revokeKey(database, successor);
    await expect(rotateKey(database, successor, 0)).rejects.toThrow('There is no key');
    // The successor was lost: the old one may have another, which does not end when the old one now does.
    const another = (await rotateKey(database, id, 0)).keyId;
    expect(another).toBeGreaterThan(successor);
    expect(await listed(another)).toMatchObject({ expires_at: null });
  });
});

describe('the last use of a key', () => {
  test('is noted soon after a request, and at most once a minute', async () => {
    const key = await createKey(database, 'lab', 'ada');
    const id = await idOf(key);
    expect(await listed(id)).toMatchObject({ last_used_at: null });
    await openIdentities(database, quiet).of(key);
    await expect.poll(async () => (await listed(id))?.last_used_at, { interval: 20 }).not.toBeNull();
    const first = (await listed(id))?.last_used_at;
    const { organizationId } = (await findIdentity(database, key)) as { organizationId: string };
    await noteKeyUse(database, organizationId, id, authLimits);
    expect((await listed(id))?.last_used_at).toBe(first);
    await alter(id, `last_used_at = now() - interval '61 seconds'`);
    await noteKeyUse(database, organizationId, id, authLimits);
    expect(Math.abs(hoursUntil((await listed(id))?.last_used_at))).toBeLessThan(0.01);
  });

  test('keeps no request waiting', async () => {
    const key = await createKey(database, 'lab', 'ada');
    const id = await idOf(key);
    const locking = await owner.pool.connect();
    try {
      await locking.query('begin');
      await locking.query('select from api_keys where key_id = $1::bigint for update', [id]);
      expect(await openIdentities(database, quiet).of(key)).toMatchObject({ keyId: id });
      expect(await listed(id)).toMatchObject({ last_used_at: null });
    } finally {
      await locking.query('rollback');
      locking.release();
    }
  });
});

test('only so many keys are remembered as the limit says, the newest ones', async () => {
  const users = await database.everyOrganization.upkeep.pool.query(
    `select organization_id, user_id from users limit 1`,
  );
  const { organization_id, user_id } = users.rows[0] as { organization_id: string; user_id: string };
  const keyCacheEntriesMax = 20;
  const names = Array.from({ length: keyCacheEntriesMax + 1 }, (_, i) => `one-key-of-many-${i}`);
  await database.everyOrganization.upkeep.pool.query(
    `insert into api_keys (organization_id, user_id, public_id, key_hash, key_hint, last_used_at)
     select $1::uuid, $2::uuid, encode(substring(sha256(k::bytea) from 1 for 8), 'hex'), sha256(k::bytea), 'a', now()
     from unnest($3::text[]) k`,
    [organization_id, user_id, names],
  );
  // However long it takes here, no key is forgotten for its age.
  vi.spyOn(performance, 'now').mockReturnValue(0);
  onTestFinished(() => void vi.restoreAllMocks());
  const { of: identityOf } = openIdentities(database, quiet, { keyCacheEntriesMax });
  const [first, second] = names as [string, string];
  await Promise.all(names.map(identityOf));
  await database.everyOrganization.upkeep.pool.query(`update api_keys set revoked_at = now() where key_hint = 'a'`);
  expect(await identityOf(second)).toBeDefined();
  expect(await identityOf(first)).toBeUndefined();
  expect(await insertKey(database, { organization_id, user_id }, first)).toBeUndefined();
});
