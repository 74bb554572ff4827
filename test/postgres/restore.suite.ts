import { execFile } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { type Cluster, openCluster } from '../faults/support/postgres-15.ts';
import { buildServer, run, serve } from '../support/built-server.ts';
import { open, serveOn, workload } from './support/store.ts';

/* The commands of docs/operations.md#backup, as they are printed there, from one PostgreSQL into another. */

vi.setConfig({ testTimeout: 120_000 });

let origin: Cluster;
let elsewhere: Cluster;
let built: { folder: string; remove: () => Promise<void> };
let folder: string;
/** Of the docs, in their order: dump, restore, copy of the embedded one. */
let recipes: [dump: string, restore: string, copy: string];
beforeAll(async () => {
  [origin, elsewhere, built] = await Promise.all([openCluster(), openCluster(), buildServer()]);
  await Promise.all([origin.start(), elsewhere.start()]);
  folder = await mkdtemp(join(tmpdir(), 'metrology-restore-'));
  const command = join(folder, 'metrology-server');
  await writeFile(command, `#!/bin/sh\nexec "${process.execPath}" "${built.folder}/dist/commands/cli.js" "$@"\n`);
  chmodSync(command, 0o755);
  const docs = await readFile('docs/operations.md', 'utf8');
  const section = docs.slice(docs.indexOf('### Backup\n'), docs.indexOf('## Start, restart, upgrade'));
  recipes = [...section.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, text]) => text) as typeof recipes;
  expect(recipes).toHaveLength(3);
}, 180_000);
afterAll(async () => {
  await Promise.all([origin?.remove(), elsewhere?.remove(), built?.remove()]);
  await rm(folder, { recursive: true, force: true });
});

/** Runs a recipe as somebody would who pastes it into a shell. @throws when its last command fails */
async function paste(recipe: string, settings: Record<string, string>): Promise<{ stdout: string; stderr: string }> {
  const PATH = `${folder}:/usr/lib/postgresql/15/bin:${process.env.PATH}`;
  const env = { PATH, HOME: folder, DATA_DIR: join(folder, 'unused'), LOG_LEVEL: 'warn', ...settings };
  return promisify(execFile)('bash', ['-c', recipe], { cwd: folder, env });
}

/** Of a role that owns an empty database of this name, and may make roles. */
async function ownDatabase(cluster: Cluster, name: string): Promise<string> {
  await cluster.query(`create role ${name}_owner login createrole`);
  await cluster.query(`create database ${name} owner ${name}_owner`);
  return cluster.url(name, `${name}_owner`);
}

describe.each([
  ['with a login of its own beside the owner', 'two', true],
  ['as the owner', 'one', false],
])('a server that works %s', (_what, name, hasLogin) => {
  const settingsOn = (cluster: Cluster, owner: string) =>
    hasLogin
      ? { DATABASE_URL: cluster.url(name, `${name}_login`), MIGRATION_DATABASE_URL: owner }
      : { DATABASE_URL: owner };
  let backup: string;
  let readings: unknown;

  test('is dumped, and restored as its owner: all is there, and goes on', async () => {
    backup = join(folder, `${name}.dump`);
    const before = settingsOn(origin, await ownDatabase(origin, name));
    const store = await open(before);
    await workload(await serveOn(store.database), 4, 5);
    const all = `select data_id, channel_name, chunk_index, content_hash from chunks join channels using (data_id, channel_id)
                 order by 1, 2, 3`;
    readings = await origin.query(all, name);
    expect(readings).toHaveLength(20);
    expect((await paste(recipes[0], { ...before, BACKUP: backup })).stderr).toBe('');

    const after = settingsOn(elsewhere, await ownDatabase(elsewhere, name));
    const { stdout, stderr } = await paste(recipes[1], { ...after, BACKUP: backup });
    // The roles are those of the whole PostgreSQL; the second restore into it finds them.
    expect(
      stderr.split('\n').filter((line) => !/^ERROR: {2}role "metrology_\w+" already exists$|^$/.test(line)),
    ).toEqual([]);
    expect(stdout).toContain('The database is up to date.\n20 chunks, 0 differ\n');
    expect(await elsewhere.query(all, name)).toEqual(readings);
    // What comes next is stored and kept apart as before.
    const restored = await open(after);
    expect(await workload(await serveOn(restored.database), 2, 2)).toMatchObject({ 'chunk 201': 4, 'ledger 200': 4 });
  });

  test('restored by a superuser, it is refused with a sentence that says what to do, or works', async () => {
    const place = `${name}_of_super`;
    await elsewhere.query(`create role ${place} login createrole`);
    await elsewhere.query(`create database ${place}`);
    await paste('pg_restore --no-owner --dbname="$SUPERUSER" "$BACKUP"', {
      SUPERUSER: elsewhere.url(place),
      BACKUP: backup,
    });
    const owner = elsewhere.url(place, place);
    const login = elsewhere.url(place, `${name}_login`);
    const settings: Record<string, string> = hasLogin
      ? { DATABASE_URL: login, MIGRATION_DATABASE_URL: owner }
      : { DATABASE_URL: owner };
    const migrate = run(built.folder, 'commands/cli.js', ['migrate'], settings);
    const { code } = await migrate.exit();
    expect(code).toBe(1);
    expect(migrate.stderr()).not.toMatch(/kysely|\n\s+at /);
    if (hasLogin) {
      expect(migrate.stderr()).toMatch(
        new RegExp(
          `belong to the role metrology, not to ${place}, .*: restore the backup as ${place} .*operations.md#backup`,
        ),
      );
    } else {
      // A server without the owner's address may work on tables of somebody else, once it is let.
      expect(migrate.stderr()).toMatch(/grant metrology_api, metrology_service to/);
    }
  });
});

test('the embedded one is copied while the server is stopped, and a server on the copy has all of it', async () => {
  const place = join(folder, 'embedded');
  const settings = { DATA_DIR: place, BOOTSTRAP_API_KEY: 'key-of-the-restore-test', PORT: '0', LOG_LEVEL: 'warn' };
  const server = await serve(built.folder, settings);
  onTestFinished(() => void server.child.kill('SIGTERM'));
  const headers = { 'x-api-key': settings.BOOTSTRAP_API_KEY, 'content-type': 'application/json' };
  const post = async (path: string, body: object) => {
    const answer = await fetch(`${server.endpoint}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    expect(answer.ok).toBe(true);
    return (await answer.json()) as { data_id: string };
  };
  const { data_id } = await post('/metrology/stream/initialize', { points_per_chunk: 1 });
  await post('/metrology/stream/chunk', { data_id, chunk_index: 0, channel_name: 'p', timestamps: [1], values: [1] });
  server.child.kill('SIGTERM');
  await server.exit();
  const { stdout } = await paste(recipes[2], { DATA_DIR: place, BACKUP: join(folder, 'copy') });
  expect(stdout).toContain('1 chunks, 0 differ');
});
