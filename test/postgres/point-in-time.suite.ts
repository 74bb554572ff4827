import { execFile, spawnSync } from 'node:child_process';
import { chmodSync, chownSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openDatabase } from '../../src/database/database.ts';
import { verify } from '../../src/verify/verify.ts';
import { accountOf, asAccount } from '../failover/support/account.ts';
import { type Cluster, openCluster } from '../faults/support/postgres-15.ts';
import { open, serveOn } from './support/store.ts';

/* The recipe of docs/backup.md for pgBackRest, up to the second of a kill -9. */

vi.setConfig({ testTimeout: 180_000 });

const isInstalled = spawnSync('pgbackrest', ['version']).error === undefined;
if (!isInstalled) console.warn('NOT RUN: pgbackrest is not installed (apt-get install pgbackrest)');

let folder: string;
let cluster: Cluster;
/** Of the docs, in their order. */
let recipes: [setUp: string, restore: string, toTime: string];

describe.runIf(isInstalled)('pgBackRest', () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'metrology-pgbackrest-'));
    chmodSync(folder, 0o755);
    for (const name of ['repo', 'lock', 'sockets']) await ownFolder(join(folder, name));
    process.env.PGBACKREST_CONFIG = join(folder, 'pgbackrest.conf');
    const docs = await readFile('docs/backup.md', 'utf8');
    const section = docs.slice(docs.indexOf('## To the last second'));
    const [config = '', settings = ''] = blocks(section, 'ini');
    recipes = blocks(section, 'sh') as typeof recipes;
    cluster = await openCluster({
      settings: { ...settingsOf(settings), unix_socket_directories: join(folder, 'sockets') },
    });
    await writeFile(process.env.PGBACKREST_CONFIG, placed(config));
    await cluster.start();
  }, 120_000);
  afterAll(async () => {
    delete process.env.PGBACKREST_CONFIG;
    await cluster?.remove();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  test('after a kill -9 all that was acknowledged is restored, and any moment before', async () => {
    await cluster.query('create database lab');
    const settings = { DATABASE_URL: cluster.url('lab') };
    const store = await open(settings);
    const { keys, ask } = await serveOn(store.database);
    const { data_id } = (await ask('POST', '/metrology/stream/initialize', { points_per_chunk: 2 })).json;
    const acknowledged: number[] = [];
    let isOver = false;
    const send = async (chunk_index: number) => {
      const chunk = { data_id, channel_name: 't', chunk_index, timestamps: [1, 2], values: [chunk_index, null] };
      const { status } = await ask('POST', '/metrology/stream/chunk', chunk, keys.lab);
      if (status === 201) acknowledged.push(chunk_index);
    };
    const sending = (async () => {
      for (let i = 0; !isOver; i++) await send(i);
    })();
    await until(() => acknowledged.length > 5);
    await paste(recipes[0]);
    const before = acknowledged.length;
    // pgBackRest knows of the end of a backup in whole seconds, and takes one for a moment only if it ended in a second before.
    const backedUpAt = Date.now();
    await until(() => acknowledged.length > before + 20 && Date.now() - backedUpAt > 1_500);
    const sure = acknowledged.length;
    const [{ moment } = {}] = await cluster.query('select now()::text as moment');
    const upTo = acknowledged.length;
    await until(() => acknowledged.length > upTo + 20);
    await cluster.query('select pg_switch_wal()');
    const archived = acknowledged.length;
    await until(() => acknowledged.length > archived + 20);
    isOver = true;
    await cluster.kill();
    const lost = [...acknowledged];
    await store.database.close();
    await sending;

    await paste(recipes[1]);
    await start();
    expect(await stored(data_id)).toEqual(expect.arrayContaining(lost));
    expect(lost.length).toBeGreaterThan(archived);
    const database = openDatabase(cluster.url('lab'), { poolMax: 1, onIdleError: () => {}, statementMsMax: 0 });
    const { chunks, channels } = await verify(database, () => {}).finally(() => database.close());
    expect([chunks.differ, channels.differ, chunks.checked >= lost.length]).toEqual([0, 0, true]);

    await cluster.stop();
    await paste(recipes[2], { TARGET: String(moment) });
    await start();
    const then = await stored(data_id);
    expect(then).toEqual(expect.arrayContaining(lost.slice(0, sure)));
    // And one that was under way at that moment, at most.
    expect(then.length).toBeLessThanOrEqual(upTo + 1);
  });
});

const blocks = (text: string, language: string) =>
  [...text.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, block]) => block as string);

/** The settings of PostgreSQL as the docs have them. */
function settingsOf(block: string): Record<string, string> {
  const pairs = [...block.matchAll(/^(\w+) = '?(.*?)'?$/gm)].map(([, name, value]) => [name, value]);
  expect(pairs).toHaveLength(3);
  return Object.fromEntries(pairs);
}

/** The configuration of the docs, at places of the test. */
function placed(config: string): string {
  const port = new URL(cluster.url()).port;
  const text = config
    .replace('/var/lib/pgbackrest', join(folder, 'repo'))
    .replace('[metrology]', `lock-path=${join(folder, 'lock')}\nlog-level-file=off\n[metrology]`)
    .replace('/var/lib/postgresql/15/main', cluster.dataDir);
  return `${text}pg1-port=${port}\npg1-socket-path=${join(folder, 'sockets')}\npg1-user=metrology\n`;
}

async function ownFolder(path: string): Promise<void> {
  await mkdir(path, { mode: 0o700 });
  const account = accountOf();
  if (account !== undefined) chownSync(path, account.uid, account.gid);
}

/** Runs a recipe as its reader would, as the account of PostgreSQL. */
async function paste(recipe: string, variables: Record<string, string> = {}): Promise<void> {
  // The folder above is not that account's, as it is on Debian.
  const account = accountOf();
  if (account !== undefined) chownSync(dirname(cluster.dataDir), account.uid, account.gid);
  const [file = '', ...args] = asAccount('bash', ['-e', '-c', recipe]);
  const env = { ...process.env, ...variables, PGDATA: cluster.dataDir };
  await promisify(execFile)(file, args, { cwd: '/', env }).catch((error) => {
    throw new Error(`${error.message}\n${error.stdout}\n${error.stderr}`);
  });
}

/** Starts PostgreSQL and waits until it has brought back all that it is to. */
async function start(): Promise<void> {
  await cluster.start();
  for (;;) {
    const [row] = await cluster.query('select pg_is_in_recovery() as "isInRecovery"');
    if (row?.isInRecovery === false) return;
    await sleep(50);
  }
}

async function stored(dataId: string): Promise<number[]> {
  const rows = await cluster.query(
    `select chunk_index::integer as i from chunks where data_id = '${dataId}' order by 1`,
    'lab',
  );
  return rows.map(({ i }) => Number(i));
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await sleep(5);
}
