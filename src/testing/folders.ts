import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { isHeld } from '../database/embedded/lock.ts';

/** Environment variables that decide where files are kept. */
export interface Surroundings {
  XDG_CACHE_HOME?: string | undefined;
  HOME?: string | undefined;
}

/** Longest path of PostgreSQL's socket folder, without the socket's name, that every system accepts. */
const socketFolderLengthMax = 88;

/**
 * The folder, private to this user, in which made clusters are kept between runs. It is in the user's cache. Where there is
 * no home, or it is not writable, it is in the folder of temporary files.
 */
export function cacheFolder({ XDG_CACHE_HOME, HOME = homeOfAccount() }: Surroundings): string {
  const ofHome = process.platform === 'darwin' ? 'Library/Caches' : '.cache';
  const above = XDG_CACHE_HOME || (HOME && join(HOME, ofHome));
  const wanted = above ? [join(above, 'metrology-server')] : [];
  for (const folder of [...wanted, join(tmpdir(), `metrology-server-cache-${userId()}`)]) {
    if (makeOwn(folder, 0o700)) return folder;
  }
  return mkdtempSync(join(tmpdir(), 'metrology-server-cache-'));
}

/** Creates a folder for one server, below the folder of all servers of this user. */
export function newServerFolder(): string {
  return mkdtempSync(join(serversFolder(), 's'));
}

/** The folder for what all servers of this user share, such as binaries that root passes to another account. */
export function sharedFolder(): string {
  return join(serversFolder(), sharedName);
}

const sharedName = 'shared';

/**
 * Removes the folders of servers that were killed. A folder without an owner may belong to a server that is just starting,
 * so it is removed only when it is old.
 */
export async function removeLeftOvers(ownerlessMsMax: number): Promise<void> {
  const above = serversFolder();
  for (const name of readdirSync(above).filter((one) => one !== sharedName)) {
    const folder = join(above, name);
    try {
      const held = await isHeld(folder);
      if (held === 'held' || (held === 'never' && Date.now() - statSync(folder).mtimeMs < ownerlessMsMax)) continue;
      removeFolder(folder);
    } catch (error) {
      // The owner of the folder, or another server that has just started, has removed it first.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

/** Removes a folder in which a PostgreSQL process may still be ending. */
export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
}

function serversFolder(): string {
  const name = `metrology-test-${userId()}`;
  const long = join(tmpdir(), name);
  const above = long.length > socketFolderLengthMax ? join('/tmp', name) : long;
  // When root runs the tests, PostgreSQL's account must be able to enter this folder, but cannot list it.
  if (makeOwn(above, 0o711)) return above;
  throw new Error(`${above} cannot be used by user id ${userId()}: remove it, or set TMPDIR to another folder`);
}

/**
 * Whether the folder exists, belongs to this user alone and is writable. In a shared place others may have created one with
 * that name.
 */
function makeOwn(folder: string, mode: number): boolean {
  try {
    makeFolders(folder, mode);
    if (statSync(folder).uid !== userId()) return false;
    chmodSync(folder, mode);
    const probe = mkdtempSync(join(folder, '.probe-'));
    rmSync(probe, { recursive: true });
    return true;
  } catch {
    return false;
  }
}

/** Does not use the option `recursive`: below /proc, where no folder can be created, Node 20 would loop for ever. */
function makeFolders(folder: string, mode: number): void {
  if (existsSync(folder)) return;
  if (dirname(folder) !== folder) makeFolders(dirname(folder), 0o700);
  try {
    mkdirSync(folder, { mode });
  } catch (error) {
    // Another server may be creating it at the same time.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

const userId = () => process.getuid?.() ?? 0;

/** Undefined for a user id without an account, which has no home. */
function homeOfAccount(): string | undefined {
  try {
    return homedir();
  } catch {
    return undefined;
  }
}
