import { execFile } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { type PostgresBinaries, SET_DATABASE_URL } from './binaries.ts';

/**
 * The user that runs PostgreSQL, which refuses to run as root.
 * - `self`: the user of this server.
 * - `namespace`: still root for the file system, but PostgreSQL sees itself as user `uid`. Files stay where they are.
 * - `user`: another user of this machine, who must be able to reach the binaries and the data.
 */
export type RunAs =
  | { kind: 'self' }
  | { kind: 'namespace'; uid: number; gid: number }
  | { kind: 'user'; uid: number; gid: number; name: string };

export interface Account {
  name: string;
  uid: number;
  gid: number;
}

interface Command {
  file: string;
  args: string[];
  options: { env: NodeJS.ProcessEnv; cwd: string; uid?: number; gid?: number };
}

/** Where the programs of the system are, whatever the PATH of this process leads to. */
const systemPath = '/usr/sbin:/usr/bin:/sbin:/bin';

/** The command as `runAs` runs it. It gets a new environment, without PGDATA, LD_LIBRARY_PATH and the like. */
export function commandAs(runAs: RunAs, file: string, args: string[]): Command {
  const PATH = process.env.PATH ? `${process.env.PATH}:${systemPath}` : systemPath;
  const options = { env: { PATH, LC_ALL: 'C', TZ: 'UTC' }, cwd: '/' };
  if (runAs.kind === 'self') return { file, args, options };
  if (runAs.kind === 'user') return { file, args, options: { ...options, uid: runAs.uid, gid: runAs.gid } };
  const map = ['--user', `--map-user=${runAs.uid}`, `--map-group=${runAs.gid}`];
  return { file: 'unshare', args: [...map, '--', file, ...args], options };
}

/** Runs a command to its end, at most two minutes. @throws Error with what it wrote to standard error */
export async function runAndWait(runAs: RunAs, file: string, args: string[], input = ''): Promise<string> {
  const command = commandAs(runAs, file, args);
  const options = { ...command.options, timeout: 120_000, killSignal: 'SIGKILL' as const };
  const running = promisify(execFile)(command.file, command.args, options);
  running.child.stdin?.on('error', () => {}); // The command may end without reading; its exit code says how it went.
  running.child.stdin?.end(input);
  return (await running).stdout;
}

/** Undefined when this user can start the binaries and enter the folder, otherwise the reason why not. */
export async function obstacleFor(runAs: RunAs, postgres: string, folder: string): Promise<string | undefined> {
  try {
    await runAndWait(runAs, '/bin/sh', ['-c', 'cd -- "$1" && exec "$2" --version', 'sh', folder, postgres]);
    return undefined;
  } catch (error) {
    return ((error as { stderr?: string }).stderr || (error as Error).message).trim();
  }
}

/**
 * Decides who runs a cluster: its owner if it exists; root tries the namespace first.
 *
 * @param clusterDir the data folder of PostgreSQL, which need not exist; its parent exists
 * @param ownerUid owner of `clusterDir`, undefined when it does not exist yet
 * @returns undefined when root has to give the cluster to another user
 * @throws Error with a sentence that says what to do
 */
export async function chooseRunAs(
  binaries: PostgresBinaries,
  clusterDir: string,
  ownerUid: number | undefined,
): Promise<RunAs | undefined> {
  const ownUid = process.getuid?.() ?? 0;
  const postgres = join(binaries.native, 'bin', 'postgres');
  const accounts = readAccounts();
  const obstacle = await obstacleFor({ kind: 'self' }, postgres, dirname(clusterDir));
  if (obstacle) {
    const why = `${obstacle}; it needs glibc, which Alpine and other musl systems do not have`;
    throw new Error(`the embedded PostgreSQL does not run here (${why}): ${SET_DATABASE_URL}`);
  }
  if (ownUid === 0 && ownerUid) {
    const owner = accounts.find(({ uid }) => uid === ownerUid);
    return { kind: 'user', uid: ownerUid, gid: owner?.gid ?? ownerUid, name: owner?.name ?? String(ownerUid) };
  }
  if (ownUid !== 0 && ownerUid !== undefined && ownerUid !== ownUid) {
    throw new Error(`${clusterDir} belongs to user id ${ownerUid}, this server runs as ${ownUid}: run it as the owner`);
  }
  // initdb needs the name of its user, and a container that was started with an arbitrary user id has none.
  const nameless = ownerUid === undefined && !accounts.some(({ uid }) => uid === ownUid);
  if (ownUid !== 0 && (!nameless || process.platform !== 'linux')) return { kind: 'self' };
  const shownAs = accounts.find(({ uid }) => uid !== 0);
  if (shownAs && process.platform === 'linux') {
    const namespace: RunAs = { kind: 'namespace', uid: shownAs.uid, gid: shownAs.gid };
    if ((await obstacleFor(namespace, postgres, dirname(clusterDir))) === undefined) return namespace;
  }
  if (ownUid === 0) return undefined;
  throw new Error(`user id ${ownUid} has no name in /etc/passwd, which initdb needs: add one, or ${SET_DATABASE_URL}`);
}

/** The account to which root gives PostgreSQL: `postgres` or `node` if there is one, else `nobody`. */
export function otherAccount(): Account {
  const accounts = readAccounts();
  for (const name of ['postgres', 'node', 'nobody']) {
    const account = accounts.find((candidate) => candidate.name === name && candidate.uid !== 0);
    if (account) return account;
  }
  throw new Error(`PostgreSQL refuses to run as root: run the server as an ordinary user, or ${SET_DATABASE_URL}`);
}

/** Binaries that `user` can start: the given ones, or a copy of them (60 MB) below `root`. */
export async function binariesFor(user: RunAs, binaries: PostgresBinaries, root: string): Promise<PostgresBinaries> {
  const cannot =
    'PostgreSQL refuses to run as root, and root can neither use "unshare --user" nor run it as another user';
  const instead = `run the server as an ordinary user, or ${SET_DATABASE_URL}`;
  const impossible = await obstacleFor(user, '/bin/true', '/');
  if (impossible) throw new Error(`${cannot} (${impossible}): ${instead}`);
  if ((await obstacleFor(user, join(binaries.native, 'bin', 'postgres'), '/')) === undefined) return binaries;
  const native = join(root, `postgresql-${binaries.version}`);
  if (!existsSync(native)) {
    // The umask reduces the mode that a folder is created with.
    if (mkdirSync(root, { recursive: true })) chmodSync(root, 0o755);
    const unfinished = mkdtempSync(join(root, 'copying-'));
    cpSync(binaries.native, join(unfinished, 'native'), { recursive: true, verbatimSymlinks: true });
    await runAndWait({ kind: 'self' }, 'chmod', ['-R', 'a+rX', unfinished]);
    publishFolder(join(unfinished, 'native'), native);
    rmSync(unfinished, { recursive: true });
  }
  const obstacle = await obstacleFor(user, join(native, 'bin', 'postgres'), '/');
  if (obstacle === undefined) return { ...binaries, native };
  throw new Error(`${cannot} (${obstacle}): ${instead}`);
}

/** If two servers create it at the same time, the first one's stays. */
function publishFolder(made: string, target: string): void {
  try {
    renameSync(made, target);
  } catch (error) {
    if (!existsSync(target)) throw error;
  }
}

function readAccounts(): Account[] {
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n');
  const fields = lines.filter((line) => line && !line.startsWith('#')).map((line) => line.split(':'));
  return fields.map(([name = '', , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }));
}
