import { createHash } from 'node:crypto';
import { chownSync, lchownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { openAsOwner } from '../database/database.ts';
import type { PostgresBinaries } from '../database/embedded/binaries.ts';
import { DATABASE, ROLE } from '../database/embedded/cluster.ts';
import { type RunAs, runAndWait } from '../database/embedded/user.ts';
import { migrate } from '../database/migrate.ts';
import { makeLogin, makeRoles } from '../database/roles.ts';
import { packageVersion } from '../lib/package-info.ts';
import { packFolder, unpackFolder } from './archive.ts';
import { removeFolder } from './folders.ts';
import { startTestPostgres, type TestPostgres } from './postgres.ts';
import { shadowStatements } from './shadows.ts';

/** The role as which the server logs in. It owns nothing. */
export const loginRole = 'metrology_app';

export interface ClusterOptions {
  binaries: PostgresBinaries;
  runAs: RunAs;
  /** Where made clusters are kept between runs of tests. */
  cacheDir: string;
  /** The folder of this server. */
  folder: string;
  startMsMax: number;
  stopMsMax: number;
}

/**
 * Puts a migrated cluster into `folder`, and starts PostgreSQL on it. The first server of its kind makes the cluster, packs
 * it and keeps it in `cacheDir`. A packed cluster that is damaged, or on which PostgreSQL does not start, is made again.
 */
export async function startOnMadeCluster(options: ClusterOptions): Promise<TestPostgres> {
  const kept = join(options.cacheDir, `cluster-${kindOfCluster(options.binaries)}`);
  const clusterDir = join(options.folder, 'postgres');
  giveToAccount(options.folder, options.runAs);
  if (unpackIfThere(kept, clusterDir)) {
    try {
      giveToAccount(clusterDir, options.runAs);
      return await startTestPostgres({ ...options, clusterDir });
    } catch {
      removeFolder(clusterDir);
    }
  }
  const packed = await makePacked(options);
  unpackFolder(packed, clusterDir);
  giveToAccount(clusterDir, options.runAs);
  const [postgres] = await Promise.all([startTestPostgres({ ...options, clusterDir }), publish(packed, kept)]);
  return postgres;
}

/** Identifies clusters that are equal: those of one release of the server and of PostgreSQL, with the same migrations. */
function kindOfCluster({ version }: PostgresBinaries): string {
  const hash = createHash('sha256').update([packageVersion, version, process.arch, shadowStatements].join('\n'));
  const migrations = new URL('../../migrations/', import.meta.url);
  for (const name of readdirSync(migrations).sort()) hash.update(name).update(readFileSync(new URL(name, migrations)));
  return `${packageVersion}-${hash.digest('hex').slice(0, 16)}`;
}

function unpackIfThere(kept: string, clusterDir: string): boolean {
  try {
    unpackFolder(readFileSync(kept), clusterDir);
    return true;
  } catch {
    removeFolder(clusterDir);
    return false;
  }
}

/** If two servers publish at once, the later one replaces an equal file. */
async function publish(packed: Buffer, kept: string): Promise<void> {
  const draft = `${kept}.${process.pid}`;
  try {
    await writeFile(draft, packed, { mode: 0o600 });
    renameSync(draft, kept);
  } catch {
    // The next start makes the cluster again. A full disk costs time here, but fails no test.
    rmSync(draft, { force: true });
  }
}

async function makePacked(options: ClusterOptions): Promise<Buffer> {
  const { binaries, runAs, folder } = options;
  const making = mkdtempSync(join(folder, 'making-'));
  giveToAccount(making, runAs);
  const clusterDir = join(making, 'cluster');
  const initdb = ['--username', ROLE, '--auth=trust', '--encoding=UTF8', '--no-sync', '--no-instructions'];
  const locale = ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C', '--wal-segsize=1'];
  await runAndWait(runAs, join(binaries.native, 'bin', 'initdb'), ['-D', clusterDir, ...initdb, ...locale]);
  const postgres = await startTestPostgres({ ...options, clusterDir, folder: making });
  let firstLog: { name: string } | undefined;
  try {
    await leaveOneDatabase(postgres);
    await fill(postgres);
    [firstLog] = await run(postgres.urlOf(), ['select pg_walfile_name(pg_current_wal_insert_lsn()) as name']);
  } finally {
    await postgres.stop('clean');
  }
  const packed = packFolder(clusterDir, [
    'postmaster.pid',
    'postmaster.opts',
    ...spareLogs(clusterDir, firstLog?.name),
  ]);
  removeFolder(making);
  return packed;
}

/** A new cluster has three databases, of 7 MB and 300 files each. Tests need only one. */
async function leaveOneDatabase(postgres: TestPostgres): Promise<void> {
  await run(postgres.urlOf('template1'), [
    'alter database template0 is_template false',
    'drop database template0',
    `alter database postgres rename to ${DATABASE}`,
  ]);
  await run(postgres.urlOf(), ['alter database template1 is_template false', 'drop database template1']);
}

async function fill(postgres: TestPostgres): Promise<void> {
  await run(postgres.urlOf(), [shadowStatements]);
  const owner = openAsOwner(postgres.urlOf(), { onIdleError: () => {} });
  try {
    await makeRoles(owner);
    await migrate(owner);
    await makeLogin(owner, postgres.urlOf(DATABASE, loginRole), { ownsPassword: true });
  } finally {
    await owner.close();
  }
}

/**
 * Finds files of the write-ahead log that need not be packed. After a clean stop PostgreSQL needs only its end: the file
 * that was open before the stop, or the one after it. initdb leaves further files of 1 MB each, some no longer needed and
 * some created in advance.
 */
function spareLogs(clusterDir: string, open: string | undefined): string[] {
  const files = readdirSync(join(clusterDir, 'pg_wal')).filter((name) => /^[0-9A-F]{24}$/.test(name));
  const needed = files
    .sort()
    .filter((name) => open === undefined || name >= open)
    .slice(0, 2);
  return files.filter((name) => open !== undefined && !needed.includes(name)).map((name) => `pg_wal/${name}`);
}

/** @returns the rows of the last statement */
async function run(url: string, statements: string[]): Promise<{ name: string }[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    let rows: { name: string }[] = [];
    for (const statement of statements) ({ rows } = await client.query(statement));
    return rows;
  } finally {
    await client.end();
  }
}

/** Gives files that root has created to the account that PostgreSQL runs as, if that is another one. */
function giveToAccount(folder: string, runAs: RunAs): void {
  if (runAs.kind !== 'user') return;
  mkdirSync(folder, { recursive: true });
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) giveToAccount(path, runAs);
    else lchownSync(path, runAs.uid, runAs.gid);
  }
  chownSync(folder, runAs.uid, runAs.gid);
}
