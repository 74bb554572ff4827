import { randomBytes } from 'node:crypto';
import {
  accessSync,
  chmodSync,
  chownSync,
  closeSync,
  constants,
  cpSync,
  existsSync,
  fsyncSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type PostgresBinaries, SET_DATABASE_URL } from './binaries.ts';
import { type Account, obstacleFor, type RunAs, runAndWait } from './user.ts';

/** The superuser and the database of the embedded PostgreSQL. */
export const ROLE = 'metrology';
export const DATABASE = 'metrology';

/** Where the cluster of this DATA_DIR is or will be: in DATA_DIR, unless it had to be moved. */
export function clusterFolder(dataDir: string): string {
  const moved = readIfThere(join(dataDir, 'postgres-moved-to'))?.trim();
  if (moved === undefined) return join(dataDir, 'postgres');
  if (existsSync(moved)) return moved;
  throw new Error(
    `the database of DATA_DIR ${dataDir} was moved to ${moved}, which is not there: bring it back, ` +
      `or delete ${join(dataDir, 'postgres-moved-to')} to begin with an empty database`,
  );
}

/** The user id that owns the cluster, or undefined when there is none yet. */
export function clusterOwner(clusterDir: string): number | undefined {
  return statSync(clusterDir, { throwIfNoEntry: false })?.uid;
}

/** @throws Error with a sentence that says what to do, when the data belongs to another major version */
export function refuseOtherVersion(dataDir: string, clusterDir: string, major: string): void {
  if (existsSync(join(dataDir, 'PG_VERSION'))) {
    throw new Error(`DATA_DIR ${dataDir} is itself the data folder of a PostgreSQL: set DATA_DIR to another folder`);
  }
  if (!existsSync(clusterDir)) return;
  const found = readIfThere(join(clusterDir, 'PG_VERSION'))?.trim();
  if (found === major) return;
  if (found === undefined) {
    throw new Error(
      `${clusterDir} is not a PostgreSQL data folder (no PG_VERSION): move it out of DATA_DIR ${dataDir}`,
    );
  }
  throw new Error(
    `${clusterDir} was written by PostgreSQL ${found}, and this server runs PostgreSQL ${major}: ` +
      `set EMBEDDED_POSTGRES_DIR to a PostgreSQL ${found}; or ` +
      `dump it with the release of this server that wrote it (start that one, then pg_dump), point DATA_DIR to an ` +
      `empty folder and restore there; or run PostgreSQL ${found} on it yourself and ${SET_DATABASE_URL}`,
  );
}

/** The password of the superuser, from DATA_DIR, or undefined when there is none yet. */
export function readPassword(dataDir: string): string | undefined {
  return readIfThere(join(dataDir, 'postgres-password'))?.trim();
}

/** Creates the password, in a file that only its owner can read. The file is on disk before a cluster depends on it. */
export function makePassword(dataDir: string): string {
  const password = randomBytes(24).toString('hex');
  writeDurably(join(dataDir, 'postgres-password'), `${password}\n`);
  return password;
}

/**
 * Creates the cluster. It is built in a temporary folder and renamed to its place when it is complete and synced. So a
 * folder at that place is always complete. What an interrupted attempt left behind is deleted by the next one.
 */
export async function makeCluster(
  binaries: PostgresBinaries,
  runAs: RunAs,
  clusterDir: string,
  password: string,
): Promise<void> {
  const parent = dirname(clusterDir);
  for (const name of readdirSync(parent)) {
    if (!name.startsWith(`${basename(clusterDir)}.making-`)) continue;
    await removeFolder(join(parent, name));
  }
  const making = mkdtempSync(`${clusterDir}.making-`);
  const passwordFile = join(making, 'password');
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (runAs.kind === 'user') {
    for (const path of [making, passwordFile]) chownSync(path, runAs.uid, runAs.gid);
  }
  await runAndWait(runAs, join(binaries.native, 'bin', 'initdb'), [
    `--pgdata=${join(making, 'cluster')}`,
    `--username=${ROLE}`,
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--locale=C',
    '--no-instructions',
  ]);
  renameSync(join(making, 'cluster'), clusterDir);
  syncFolder(parent);
  // The parent may be new, too, and then its own entry has to be synced. A user who may not read the folder above did
  // not create an entry there.
  if (isReadable(dirname(parent))) syncFolder(dirname(parent));
  rmSync(making, { recursive: true });
}

/** Removes a folder into which an initdb that outlived its server may still be writing. */
async function removeFolder(path: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      rmSync(path, { recursive: true, force: true });
    } catch (error) {
      if (attempt === removeAttemptsMax) throw error;
    }
    // Node 24 reports no error when a file was added while it removed the others.
    if (!existsSync(path)) return;
    if (attempt >= removeAttemptsMax) throw new Error(`${path} cannot be removed: something still writes into it`);
    await sleep(100);
  }
}

const removeAttemptsMax = 50;

/** Gives the superuser a new password, for a cluster whose password file was lost. The cluster must not be running. */
export async function replacePassword(
  binaries: PostgresBinaries,
  runAs: RunAs,
  clusterDir: string,
  password: string,
): Promise<void> {
  const args = ['--single', '-D', clusterDir, 'postgres'];
  const statement = `alter role ${ROLE} with login password '${password}';\n`;
  await runAndWait(runAs, join(binaries.native, 'bin', 'postgres'), args, statement);
}

/**
 * Root gives the cluster, existing or not yet, to `account`: in place if that account can reach DATA_DIR, otherwise
 * below `root`. The owner of the cluster folder is changed last, so an interrupted hand-over is repeated.
 * @returns where the cluster is from now on
 */
export async function handOver(
  dataDir: string,
  clusterDir: string,
  account: Account,
  binaries: PostgresBinaries,
  root: string,
): Promise<string> {
  const { uid, gid, mode } = statSync(dataDir);
  if (uid === 0) {
    // The account may pass through DATA_DIR but not list it, and only root can read the secrets in it.
    chownSync(dataDir, 0, account.gid);
    chmodSync(dataDir, (mode & 0o777) | 0o010);
  }
  const user: RunAs = { kind: 'user', ...account };
  if ((await obstacleFor(user, join(binaries.native, 'bin', 'postgres'), dirname(clusterDir))) === undefined) {
    if (existsSync(clusterDir)) chownTree(clusterDir, account);
    return clusterDir;
  }
  if (uid === 0) {
    chownSync(dataDir, 0, gid);
    chmodSync(dataDir, mode & 0o777);
  }
  mkdirSync(root, { recursive: true, mode: 0o755 });
  const folder = mkdtempSync(join(root, 'data-'));
  chownSync(folder, account.uid, account.gid);
  const moved = join(folder, 'postgres');
  if (existsSync(clusterDir)) {
    cpSync(clusterDir, moved, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
    // Node 24 does not copy the mode of a folder, and PostgreSQL refuses data that others could read.
    chmodSync(moved, 0o700);
    chownTree(moved, account);
    await runAndWait({ kind: 'self' }, 'sync', []);
  }
  return moved;
}

/**
 * Records that the cluster is elsewhere. A copy that stayed behind is renamed, so that nobody takes it for the cluster.
 */
export function rememberMove(dataDir: string, moved: string): void {
  writeDurably(join(dataDir, 'postgres-moved-to'), `${moved}\n`);
  const old = join(dataDir, 'postgres');
  if (existsSync(old)) renameSync(old, `${old}.before-move-${Date.now()}`);
}

function chownTree(folder: string, { uid, gid }: Account): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) chownTree(path, { name: '', uid, gid });
    else lchownSync(path, uid, gid);
  }
  chownSync(folder, uid, gid);
}

function readIfThere(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

function writeDurably(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
  syncFolder(dirname(path));
}

function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  fsyncSync(folder);
  closeSync(folder);
}
