import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createKey, provideKey } from '../../src/auth/keys.ts';
import { findIdentity, revokeKey } from '../../src/auth/store.ts';
import { type Database, openDatabase } from '../../src/database/database.ts';
import { everyKey } from '../support/every-key.ts';
import { cloneDatabase } from '../support/test-server.ts';

let database: Database;
let folder: string;
let path: string;

beforeEach(async () => {
  const databaseUrl = await cloneDatabase();
  database = openDatabase(databaseUrl, { poolMax: 2, onIdleError: () => {} });
  folder = await mkdtemp(join(tmpdir(), 'metrology-key-'));
  path = join(folder, 'api-key');
});
afterEach(async () => {
  await database?.close();
  await rm(folder, { recursive: true, force: true });
});

/** Comes with a key that was stored just now. */
const linkToken = expect.stringMatching(/^msl1_\w{43}_\w{6}$/);
const provide = (hasTerminal = false) => provideKey(database, { DATA_DIR: folder }, hasTerminal);
const mode = async () => ((await stat(path)).mode & 0o777).toString(8);
const keyInFile = async () => (await readFile(path, 'utf8')).trim();

test('without a terminal the first key goes to a file of mode 0600, and later starts point to it', async () => {
  expect(await provide()).toEqual({ kind: 'file', path, linkToken });
  expect(await mode()).toBe('600');
  expect(await readFile(path, 'utf8')).toMatch(/^msk1_\w{10}_\w{43}_\w{6}\n$/);
  expect(await findIdentity(database, await keyInFile())).toBeDefined();
  const first = await keyInFile();
  expect(await provide()).toEqual({ kind: 'file', path });
  expect(await provide(true)).toEqual({ kind: 'file', path });
  expect(await keyInFile()).toBe(first);
  expect(await everyKey(database)).toHaveLength(1);
  expect(await readdir(folder)).toEqual(['api-key']);
});

test('a terminal is shown the first key, once, and no file is written', async () => {
  const provided = await provide(true);
  expect(provided).toEqual({ kind: 'new', key: expect.stringMatching(/^msk1_/), linkToken });
  expect(await readdir(folder)).toEqual([]);
  expect(await provide(true)).toEqual({ kind: 'existing' });
});

test('a file that is there already, open to everybody, ends with a new key and mode 0600', async () => {
  await writeFile(path, 'old\n');
  await chmod(path, 0o644);
  expect(await provide()).toEqual({ kind: 'file', path, linkToken });
  expect(await mode()).toBe('600');
  expect(await keyInFile()).not.toBe('old');
});

test('a key that was written but not stored, as after a crash in between, is replaced', async () => {
  await writeFile(path, 'msk_neverstored\n', { mode: 0o600 });
  await provide();
  expect(await findIdentity(database, await keyInFile())).toBeDefined();
});

test('once the key of the file is revoked, it is not pointed to; the last one revoked makes a new one', async () => {
  await provide();
  await createKey(database, 'default');
  const [inFile, other] = (await everyKey(database)).map((key) => key.key_id);
  await revokeKey(database, inFile as number);
  expect(await provide()).toEqual({ kind: 'existing' });
  await revokeKey(database, other as number);
  expect(await provide()).toEqual({ kind: 'file', path, linkToken });
  expect(await findIdentity(database, await keyInFile())).toBeDefined();
});

test('a file with a key of another organization is not pointed to', async () => {
  await createKey(database, 'default');
  await writeFile(path, `${await createKey(database, 'rival')}\n`);
  expect(await provide()).toEqual({ kind: 'existing' });
});

test('where the file cannot be written the start fails with what to set, and no key is left behind', async () => {
  await writeFile(join(folder, 'file'), '');
  const failing = provideKey(database, { DATA_DIR: join(folder, 'file', 'sub') }, false);
  await expect(failing).rejects.toThrow(/cannot be written.*Set BOOTSTRAP_API_KEY or DATA_DIR/);
  expect(await everyKey(database)).toEqual([]);
});
