import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { damaged } from '../../src/backups/backup-format.ts';
import { readBackup } from '../../src/backups/read-backup.ts';
import { restore } from '../../src/backups/restore-backup.ts';
import type { OwnerDatabase } from '../../src/database/database.ts';
import { migrate } from '../../src/database/migrate.ts';
import { makeRoles } from '../../src/database/roles.ts';
import { readTar, tarEnd, tarEntry } from '../../src/lib/tar.ts';
import { emptyDatabase } from '../database/support/migrating.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';
import { arriving, backedUp, fill } from './support/content.ts';

// Each restore runs all migrations: on a busy machine that takes a while.
vi.setConfig({ testTimeout: 90_000 });

let server: TestServer;
let file: Buffer;
beforeAll(async () => {
  server = await startTestServer();
  await fill(server);
  ({ file } = await backedUp(server.databaseUrl, { pieceBytes: 2_000 }));
});
afterAll(() => server?.close());

async function emptyOwner() {
  const owner = (await emptyDatabase())();
  await makeRoles(owner);
  return owner;
}

const isEmpty = async ({ pool }: OwnerDatabase) =>
  (await pool.query(`select from pg_class where relnamespace = 'public'::regnamespace`)).rowCount === 0;

/** A backup in which something was changed by somebody who knows the form: every hash is right. */
async function rewritten(change: (name: string, body: Buffer) => Buffer): Promise<Buffer> {
  const entries: Buffer[] = [];
  for await (const { name, body } of readTar(arriving(file), { entryBytesMax: 2 ** 24 })) {
    if (name !== 'SHA256') entries.push(tarEntry({ name, body: change(name, body) }, 0));
  }
  const before = Buffer.concat(entries);
  const digest = createHash('sha256').update(before).digest('hex');
  return Buffer.concat([before, tarEntry({ name: 'SHA256', body: Buffer.from(`${digest}\n`) }, 0), tarEnd]);
}

const withManifest = (change: (manifest: Record<string, unknown>) => object) =>
  rewritten((name, body) =>
    name === 'manifest.json' ? Buffer.from(JSON.stringify(change(JSON.parse(body.toString())))) : body,
  );

const problemOf = (bytes: Buffer) =>
  readBackup(arriving(bytes, 8_191)).then(
    () => 'none',
    (error: Error) => error.message,
  );
const isDamage =
  /^The backup is damaged or cut: .* Use another one\.$|^This is no metrology-server backup\.$|formats up to 1/s;

describe('a file is refused', () => {
  test('whichever bit of it differs: in headers, in names, in rows, in fill bytes, in the hash', async () => {
    // Most of them in the first and last entries, and some in the others: all kinds of places.
    const places = [...file.keys()].filter((at) => at % 397 === 0 || at < 600 || at > file.length - 2_100);
    for (const at of places.filter((_, i) => i % 61 === 0)) {
      const flipped = Buffer.from(file);
      flipped[at] = (flipped[at] as number) ^ (1 << (at % 8));
      expect(await problemOf(flipped), `byte ${at}`).toMatch(isDamage);
    }
    expect(await problemOf(file)).toBe('none');
  });

  test('wherever it is cut, and when something stands behind it', async () => {
    for (let at = 0; at < file.length; at += 3_989)
      expect(await problemOf(file.subarray(0, at)), `${at}`).toMatch(isDamage);
    for (const at of [1, 512, 1_024]) expect(await problemOf(file.subarray(0, file.length - at))).toMatch(isDamage);
    expect(await problemOf(Buffer.concat([file, Buffer.alloc(1)]))).toMatch(/something follows its end/);
  });

  test('that is something else', async () => {
    for (const other of [Buffer.alloc(0), Buffer.alloc(5_000), gzipSync('text'), Buffer.from('{"format":"other"}')]) {
      expect(await problemOf(other)).toBe('This is no metrology-server backup.');
    }
  });

  test('with a piece that would fill the memory', async () => {
    const bomb = await rewritten((name, body) => (name.endsWith('.gz') ? gzipSync(Buffer.alloc(200_000)) : body));
    const read = readBackup(arriving(bomb), {}, { entryBytesMax: 100_000 });
    await expect(read).rejects.toThrow(/cannot be unpacked/);
    const large = await rewritten((name, body) => (name.endsWith('.gz') ? Buffer.alloc(100_001) : body));
    await expect(readBackup(arriving(large), {}, { entryBytesMax: 100_000 })).rejects.toThrow(
      /more than 100000 \(entryBytesMax\)/,
    );
  });

  test('of a newer release or format, in a sentence that names both', async () => {
    const format = await withManifest((manifest) => ({ ...manifest, formatVersion: 2, release: '9.1.0' }));
    expect(await problemOf(format)).toMatch(/release 9\.1\.0 in format 2, and this is release .*formats up to 1/);
    const owner = await emptyOwner();
    const newer = await withManifest((manifest) => ({
      ...manifest,
      release: '9.1.0',
      migrations: [...(manifest.migrations as object[]), { name: '9001_from_afar', checksum: null }],
    }));
    await expect(restore(owner, arriving(newer))).rejects.toThrow(
      /by release 9\.1\.0 .* 9001_from_afar, which this release, \d.*, does not know \(its newest is \d{4}_/,
    );
    const other = await withManifest((manifest) => ({
      ...manifest,
      migrations: (manifest.migrations as object[]).map((one) => ({ ...one, checksum: 'another' })),
    }));
    await expect(restore(owner, arriving(other))).rejects.toThrow(
      /other migrations under the names .* \(0001_initial, /,
    );
    expect(await isEmpty(owner)).toBe(true);
  });
});

describe('a restore that fails leaves the database as empty as it was', () => {
  test('cut, damaged at the very end, with rows PostgreSQL does not take, with columns it does not have', async () => {
    const owner = await emptyOwner();
    const late = Buffer.from(file);
    late[file.length - 1_500] = (late[file.length - 1_500] as number) ^ 1;
    const rows = await rewritten((name, body) =>
      name.startsWith('chunks/') ? gzipSync(Buffer.from('no rows')) : body,
    );
    const column = await withManifest((manifest) => ({
      ...manifest,
      tables: (manifest.tables as { name: string; columns: object[] }[]).map(({ name, columns }) =>
        name === 'tags' ? { name, columns: [...columns, { name: 'colour', type: 'text' }] } : { name, columns },
      ),
    }));
    const cases: [Buffer, RegExp][] = [
      [late, /^The backup is damaged or cut/],
      [file.subarray(0, file.length / 2), /^The backup is damaged or cut: it is cut/],
      [rows, /COPY file signature not recognized/],
      [column, /no place for: tags\.colour \(text\)/],
    ];
    for (const [bytes, reason] of cases) {
      await expect(restore(owner, arriving(bytes))).rejects.toThrow(reason);
      expect(await isEmpty(owner)).toBe(true);
    }
    const stopping = new AbortController();
    const stopped = restore(owner, stoppedMidway(stopping), { signal: stopping.signal });
    await expect(stopped).rejects.toThrow('enough');
    expect(await isEmpty(owner)).toBe(true);
    await restore(owner, arriving(file));
  });

  async function* stoppedMidway(stopping: AbortController) {
    yield file.subarray(0, file.length / 2);
    stopping.abort(new Error('enough'));
    yield file.subarray(file.length / 2);
  }

  test('a count of rows that is another is found', async () => {
    const owner = await emptyOwner();
    const fewer = await rewritten((name, body) => {
      if (name !== 'contents.json') return body;
      const { tables } = JSON.parse(body.toString());
      return Buffer.from(
        JSON.stringify({ tables: tables.map((one: { rows: number }) => ({ ...one, rows: one.rows + 1 })) }),
      );
    });
    await expect(restore(owner, arriving(fewer))).rejects.toThrow(damaged('').message.slice(0, 20));
    expect(await isEmpty(owner)).toBe(true);
  });
});

describe('a database that is not empty is refused, in a sentence that says what is in it', () => {
  test('one of a server', async () => {
    await expect(restore(server.owner, arriving(file))).rejects.toThrow(/not empty: it has rows in api_keys, .*tags/);
  });

  test('one of somebody else', async () => {
    const owner = await emptyOwner();
    await owner.pool.query('create table recipes (name text); create view all_recipes as select * from recipes');
    await expect(restore(owner, arriving(file))).rejects.toThrow(/has tables already \(all_recipes, recipes\)/);
    await owner.pool.query(`insert into recipes values ('cake')`);
    await expect(restore(owner, arriving(file))).rejects.toThrow(/has rows in recipes/);
  });

  test('empty tables of another release than that of the backup', async () => {
    const owner = await emptyOwner();
    await migrate(owner);
    await owner.pool.query(`insert into kysely_migration (name, timestamp) values ('9001_from_afar', 'now')`);
    await expect(restore(owner, arriving(file))).rejects.toThrow(
      /as another release than that of the backup makes them/,
    );
  });
});
