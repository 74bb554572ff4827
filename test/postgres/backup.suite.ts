import { execFile } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { createSqlReader } from '../../src/auth/sql-readers.ts';
import { openAsOwner } from '../../src/database/database.ts';
import { runningEmbeddedPostgres } from '../../src/database/embedded.ts';
import { type Cluster, openCluster } from '../faults/support/postgres-15.ts';
import { buildServer, serve } from '../support/built-server.ts';
import { open, serveOn, workload } from './support/store.ts';

/* The commands backup and restore, between the embedded PostgreSQL 18 and Debian's 15, by one role and by two. */

vi.setConfig({ testTimeout: 180_000 });

let cluster: Cluster;
let built: { folder: string; remove: () => Promise<void> };
let folder: string;
beforeAll(async () => {
  [cluster, built] = await Promise.all([openCluster(), buildServer()]);
  await cluster.start();
  folder = await mkdtemp(join(tmpdir(), 'metrology-backup-'));
  const command = join(folder, 'metrology-server');
  await writeFile(command, `#!/bin/sh\nexec "${process.execPath}" "${built.folder}/dist/commands/cli.js" "$@"\n`);
  chmodSync(command, 0o755);
}, 180_000);
afterAll(async () => {
  await Promise.all([cluster?.remove(), built?.remove()]);
  await rm(folder, { recursive: true, force: true });
});

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a line of a shell as somebody would who types it. */
async function shell(line: string, settings: Record<string, string>): Promise<Ended> {
  const PATH = `${folder}:${process.env.PATH}`;
  const env = { PATH, HOME: folder, DATA_DIR: join(folder, 'unused'), LOG_LEVEL: 'warn', ...settings };
  const run = promisify(execFile)('bash', ['-o', 'pipefail', '-c', line], { cwd: folder, env });
  return run.then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  );
}

async function ownDatabase(name: string): Promise<{ DATABASE_URL: string; MIGRATION_DATABASE_URL: string }> {
  await cluster.query(`create role ${name}_owner login createrole`);
  await cluster.query(`create database ${name} owner ${name}_owner`);
  return {
    MIGRATION_DATABASE_URL: cluster.url(name, `${name}_owner`),
    DATABASE_URL: cluster.url(name, `${name}_login`),
  };
}

const all = `select data_id, channel_name, chunk_index::integer, encode(content_hash, 'hex') as hash
  from chunks join channels using (data_id, channel_id) order by 1, 2, 3`;

async function embeddedRows(dataDir: string): Promise<unknown[]> {
  const store = await open({ DATA_DIR: dataDir });
  const owner = openAsOwner(store.ownerUrl, { onIdleError: () => {} });
  return owner.pool
    .query(all)
    .then(({ rows }) => rows)
    .finally(() => owner.close().then(() => store.close()));
}

test('from 15 with two roles into the embedded 18, from there through a pipe into 15 with one role', async () => {
  const origin = await ownDatabase('first');
  const store = await open(origin);
  await workload(await serveOn(store.database), 4, 5);
  const owner = openAsOwner(origin.MIGRATION_DATABASE_URL, { onIdleError: () => {} });
  onTestFinished(() => owner.close());
  const reader = await createSqlReader(owner, origin.DATABASE_URL, 'lab');
  const sent = await cluster.query(all, 'first');
  expect(sent).toHaveLength(20);

  // The server's own role is enough.
  const made = await shell('metrology-server backup first.backup', { DATABASE_URL: origin.DATABASE_URL });
  expect(made).toMatchObject({ code: 0, stdout: '' });
  expect(made.stderr).toMatch(
    /^Backup of 20.*, by release .*\n.* 20 chunks, .*\n.* MB, of .* MB that PostgreSQL gave$/m,
  );
  expect((await stat(join(folder, 'first.backup'))).mode & 0o777).toBe(0o600);
  expect(await readdir(folder)).not.toContainEqual(expect.stringMatching(/\.part$/));
  const checked = await shell('metrology-server backup --check first.backup', {
    DATABASE_URL: 'postgresql://127.0.0.1:1/x',
  });
  expect([checked.code, checked.stdout]).toEqual([0, expect.stringMatching(/^Backup of .*\n.* 20 chunks, /)]);

  const embedded = { DATA_DIR: join(folder, 'embedded') };
  const restored = await shell('metrology-server restore first.backup', embedded);
  expect(restored.stderr.replaceAll(/^.* MB of .*\n/gm, '')).toBe('');
  expect(restored).toMatchObject({ code: 0 });
  expect(restored.stdout).toMatch(/20 chunks, 0 differ\n.*\nverify: 0 differ\n$/s);
  expect(restored.stdout).toContain(`The SQL reader ${reader.role} has no role in this PostgreSQL`);
  expect(await shell(`metrology-server sql-readers drop ${reader.role}`, embedded)).toMatchObject({ code: 0 });
  expect(await embeddedRows(embedded.DATA_DIR)).toEqual(sent);
  const again = await shell('metrology-server restore first.backup', embedded);
  expect([again.code, again.stderr]).toEqual([1, expect.stringMatching(/not empty: it has rows in api_keys, /)]);

  await cluster.query('create database second');
  const piped = await shell('metrology-server backup - | DATABASE_URL="$TARGET" metrology-server restore -', {
    ...embedded,
    TARGET: cluster.url('second'),
  });
  expect(piped.stdout).toMatch(/verify: 0 differ\n$/);
  expect(piped.code).toBe(0);
  expect(await cluster.query(all, 'second')).toEqual(sent);
  // What comes next is stored and kept apart as before.
  const after = await open({ DATABASE_URL: cluster.url('second') });
  expect(await workload(await serveOn(after.database), 2, 2)).toMatchObject({ 'chunk 201': 4, 'ledger 200': 4 });
});

test('beside a running server on the embedded one, into a database of two roles whose SQL reader has a role', async () => {
  const settings = { DATA_DIR: join(folder, 'running'), BOOTSTRAP_API_KEY: 'key-of-the-backup-test', PORT: '0' };
  const server = await serve(built.folder, { ...settings, LOG_LEVEL: 'warn' });
  onTestFinished(() => void server.child.kill('SIGTERM'));
  const headers = { 'x-api-key': settings.BOOTSTRAP_API_KEY, 'content-type': 'application/json' };
  const post = async (path: string, body: object) => {
    const answer = await fetch(`${server.endpoint}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    expect(answer.ok).toBe(true);
    return (await answer.json()) as { data_id: string };
  };
  const { data_id } = await post('/metrology/stream/initialize', { points_per_chunk: 1 });
  await post('/metrology/stream/chunk', { data_id, chunk_index: 0, channel_name: 'p', timestamps: [1], values: [1] });
  const owner = openAsOwner((await runningEmbeddedPostgres(settings.DATA_DIR)) as string, { onIdleError: () => {} });
  onTestFinished(() => owner.close());
  await owner.pool.query(
    `insert into sql_readers (role_name, organization_id) select 'lab_reader', organization_id from organizations`,
  );
  expect(await shell('metrology-server backup running.backup', settings)).toMatchObject({ code: 0 });
  server.child.kill('SIGTERM');
  await server.exit();

  await cluster.query('create role lab_reader login');
  const target = await ownDatabase('third');
  const restored = await shell('metrology-server restore - < running.backup', target);
  expect(restored).toMatchObject({ code: 0, stderr: '' });
  expect(restored.stdout).toMatch(/1 chunks, 0 differ\n.*verify: 0 differ\n$/s);
  expect(restored.stdout).not.toContain('SQL reader');
  const client = openAsOwner(cluster.url('third', 'lab_reader'), { onIdleError: () => {} });
  onTestFinished(() => client.close());
  expect((await client.pool.query('select value from points')).rows).toEqual([{ value: 1 }]);
  // The key opens here too.
  const store = await open(target);
  const { ask } = await serveOn(store.database);
  expect((await ask('GET', `/metrology/stream/${data_id}/chunks`, undefined, settings.BOOTSTRAP_API_KEY)).status).toBe(
    200,
  );
});

test('a broken file is refused, and so is a file that cannot be written, each in a sentence', async () => {
  await cluster.query('create database fourth');
  const settings = { DATABASE_URL: cluster.url('fourth') };
  await open(settings);
  expect(await shell('metrology-server backup fourth.backup', settings)).toMatchObject({ code: 0 });
  const before = await readFile(join(folder, 'fourth.backup'));
  const nowhere = await shell('metrology-server backup nowhere/fourth.backup', settings);
  expect([nowhere.code, nowhere.stderr]).toEqual([
    1,
    expect.stringMatching(/^The backup .* cannot be written: ENOENT/m),
  ]);
  const full = await shell('metrology-server backup - > /dev/full', settings);
  expect([full.code, full.stderr]).toEqual([1, expect.stringMatching(/cannot be written: ENOSPC/)]);
  // What stands under the name stays until another backup is whole.
  const unreadable = `alter policy every_organization on tags to metrology_api`;
  await cluster.query(unreadable, 'fourth');
  const refused = await shell('metrology-server backup fourth.backup', settings);
  expect(refused.code).toBe(1);
  expect(await readFile(join(folder, 'fourth.backup'))).toEqual(before);
  expect(await readdir(folder)).not.toContainEqual(expect.stringMatching(/\.part$/));

  await truncate(join(folder, 'fourth.backup'), before.length - 600);
  for (const command of ['backup --check', 'restore']) {
    await cluster.query(`create database broken_${command.slice(0, 4)}`);
    const broken = await shell(`metrology-server ${command} fourth.backup`, {
      DATABASE_URL: cluster.url(`broken_${command.slice(0, 4)}`),
    });
    expect([broken.code, broken.stderr]).toEqual([1, expect.stringMatching(/^The backup is damaged or cut: /m)]);
  }
  const none = await shell('metrology-server restore fifth.backup', settings);
  expect([none.code, none.stderr]).toEqual([1, expect.stringMatching(/fifth\.backup/)]);
});
