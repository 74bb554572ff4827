import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { readBackup } from '../../src/backups/read-backup.ts';
import { restore } from '../../src/backups/restore-backup.ts';
import { migrate } from '../../src/database/migrate.ts';
import { makeRoles } from '../../src/database/roles.ts';
import { verify } from '../../src/verify/verify.ts';
import { emptyDatabase } from '../database/support/migrating.ts';
import { joinTestServer, startTestServer, type TestServer } from '../support/test-server.ts';
import { catalogueOf } from '../upgrade/support/catalogue.ts';
import { arriving, backedUp, contentOf, fill } from './support/content.ts';

// Each restore runs all migrations: on a busy machine that takes a while.
vi.setConfig({ testTimeout: 90_000 });

let server: TestServer;
let dataId: string;
let file: Buffer;
beforeAll(async () => {
  server = await startTestServer({}, { overviews: { quietShare: 1, busyShare: 1, walkPauseMs: 0 } });
  dataId = await fill(server);
  ({ file } = await backedUp(server.databaseUrl, { pieceBytes: 2_000 }));
});
afterAll(() => server?.close());

async function emptyOwner() {
  const owner = (await emptyDatabase())();
  await makeRoles(owner);
  return owner;
}

const sequencesOf = async ({ pool }: { pool: TestServer['owner']['pool'] }) =>
  (await pool.query(`select sequencename, last_value from pg_sequences where schemaname = 'public' order by 1`)).rows;

describe('a backup', () => {
  test('holds something of every table there is, so that none is forgotten', async () => {
    const { contents, manifest } = await readBackup(arriving(file));
    const { rows } = await server.owner.pool.query<{ name: string }>(
      `select relname::text as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1`,
    );
    expect(contents.tables.map(({ name }) => name).sort()).toEqual(rows.map(({ name }) => name));
    expect(manifest.leftOut).toEqual([]);
    expect(manifest.sequences.map(({ table, column }) => `${table}.${column}`)).toContain('channels.channel_id');
    // One table in several pieces.
    expect(contents.tables.find(({ name }) => name === 'chunks')?.pieces).toBeGreaterThan(3);
    const filled = [
      'chunks',
      'chunk_revisions',
      'overviews',
      'sessions',
      'sign_in_links',
      'api_keys',
      'stream_tags',
      'tags',
    ];
    for (const { name, rows } of contents.tables)
      if (filled.includes(name)) expect([name, rows > 0]).toEqual([name, true]);
  });

  test('restored, is the same in every row, counter and object of the schema, and goes on', async () => {
    const owner = await emptyOwner();
    await restore(owner, arriving(file));
    expect(await contentOf(owner.pool)).toEqual(await contentOf(server.owner.pool));
    expect(await catalogueOf(owner.pool)).toEqual(await catalogueOf(server.owner.pool));
    expect(await sequencesOf(owner)).toEqual(await sequencesOf(server.owner));
    const { rows } = await owner.pool.query<{ name: string }>('select current_database() as name');
    const databaseUrl = new URL(server.databaseUrl);
    databaseUrl.pathname = `/${rows[0]?.name}`;
    const beside = await joinTestServer({ ...server, databaseUrl: databaseUrl.href });
    const found = await verify(beside.database, () => {});
    for (const tally of [found.chunks, found.revisions, found.channels, found.overviews]) {
      expect(tally.checked).toBeGreaterThan(0);
      expect(tally.differ).toBe(0);
    }
    // The trigger is in force: what is replaced is in no overview.
    const again = { data_id: dataId, chunk_index: 3, channel_name: 'long', timestamps: [1], values: [77] };
    await owner.pool.query('update streams set finalized_at = null');
    expect((await beside.post('/metrology/stream/chunk', again)).status).toBe(201);
    expect((await owner.pool.query('select from overviews')).rowCount).toBe(0);
    expect((await beside.post('/metrology/stream/initialize', { points_per_chunk: 1 }, server.keys.rival)).status).toBe(
      200,
    );
    await beside.close();
  });

  test('may be restored into tables that are there and empty, as migrations have made them', async () => {
    const owner = await emptyOwner();
    await migrate(owner);
    await restore(owner, arriving(file));
    expect(await contentOf(owner.pool)).toEqual(await contentOf(server.owner.pool));
  });

  test('is a tar file that tar and gzip open', () => {
    const names = execFileSync('tar', ['-tf', '-'], { input: file, encoding: 'utf8' }).trim().split('\n');
    expect([names[0], ...names.slice(-2)]).toEqual(['manifest.json', 'contents.json', 'SHA256']);
    const pieces = names.filter((name) => name.startsWith('chunks/'));
    const packed = execFileSync('tar', ['-xOf', '-', ...pieces], { input: file });
    expect(execFileSync('gzip', ['-dc'], { input: packed }).toString('latin1', 0, 6)).toBe('PGCOPY');
    const before = file.subarray(0, file.length - 1_024 - 1_024);
    const said = execFileSync('tar', ['-xOf', '-', 'SHA256'], { input: file, encoding: 'utf8' }).trim();
    expect(execFileSync('sha256sum', { input: before, encoding: 'utf8' }).split(' ')[0]).toBe(said);
  });
});
