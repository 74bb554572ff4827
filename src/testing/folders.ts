import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { isHeld } from '../database/embedded/lock.ts';

/** What of the environment decides where files are kept. */
export interface Surroundings {
  XDG_CACHE_HOME?: string | undefined;
  HOME?: string | undefined;
}

/** Longest path of a socket of PostgreSQL that every system takes, its name left out. */
const socketFolderLengthMax = 88;

/**
 * The folder, private to this user, that keeps made clusters between runs: in the user's cache, or in the folder of temporary
 * files where there is no home or it cannot be written.
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

/** A new folder for one server, below one that holds all of this user. */
export function newServerFolder(): string {
  return mkdtempSync(join(serversFolder(), 's'));
}

/** Where what all servers of this user share is kept, such as binaries that root hands to another account. */
export function sharedFolder(): string {
  return join(serversFolder(), sharedName);
}

const sharedName = 'shared';

/**
 * Removes what servers have left that were killed. A folder that nobody has claimed yet may belong to a server that is just
 * starting, so it goes only when it is old.
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
      // Its owner, or another server that has just started, was faster.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

/** Removes a folder in which a PostgreSQL may be ending just now. */
export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
}

function serversFolder(): string {
  const name = `metrology-test-${userId()}`;
  const long = join(tmpdir(), name);
  const above = long.length > socketFolderLengthMax ? join('/tmp', name) : long;
  // An account that PostgreSQL runs as for root must get through, and sees no names.
  if (makeOwn(above, 0o711)) return above;
  throw new Error(`${above} cannot be used by user id ${userId()}: remove it, or set TMPDIR to another folder`);
}

/** Whether the folder is there, ours alone, and can be written. Others may have made one of that name in a shared place. */
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

/** Not by `recursive`: below /proc, where no folder can be made, Node 20 tries for ever. */
function makeFolders(folder: string, mode: number): void {
  if (existsSync(folder)) return;
  if (dirname(folder) !== folder) makeFolders(dirname(folder), 0o700);
  try {
    mkdirSync(folder, { mode });
  } catch (error) {
    // Another server may be making it too.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

const userId = () => process.getuid?.() ?? 0;

/** A user id that has no account has no home either. */
function homeOfAccount(): string | undefined {
  try {
    return homedir();
  } catch {
    return undefined;
  }
}
