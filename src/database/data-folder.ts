/** Checks whether the data folder of a PostgreSQL on this machine is still the one that it was started on. */
import { realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { hostsOf, readAddress } from '../lib/postgres-address.ts';
import { clusterFolder } from './embedded/cluster.ts';
import { isPostgresOf, readPostmasterFile } from './embedded/processes.ts';
import { isThisMachine } from './tls.ts';

/** PostgreSQL creates each of them once and never again, and keeps running for a while when they are gone. */
const parts = ['.', 'PG_VERSION', 'global/pg_control', 'base', 'pg_wal'];

/**
 * Remembers which files a data folder consists of.
 * @param keepMs how long the result of a check is reused: a check costs 20 µs, and every acknowledgement needs one
 * @returns a function that says, in a sentence, that they are gone or replaced; undefined when this user may not look
 * into the folder
 */
export function watchDataFolder(
  folder: string,
  keepMs: number,
  now = () => performance.now(),
): (() => string | undefined) | undefined {
  const idOf = (part: string) => {
    const found = statSync(join(folder, part), { throwIfNoEntry: false });
    return found === undefined ? undefined : `${found.dev} ${found.ino}`;
  };
  const isAsKnown = () => {
    try {
      return parts.every((part, i) => idOf(part) === known[i]);
    } catch {
      // The folder cannot be reached any more, as when its disk has been taken away.
      return false;
    }
  };
  let known: (string | undefined)[];
  try {
    known = parts.map(idOf);
  } catch {
    return undefined;
  }
  let isThere = true;
  let seenAt = now();
  return () => {
    if (now() - seenAt >= keepMs) {
      isThere = isAsKnown();
      seenAt = now();
    }
    return isThere ? undefined : folderGone;
  };
}

const folderGone =
  'The data folder of the database has been deleted, moved or replaced while it ran: what is stored now would be lost.';

/**
 * The data folder of the embedded PostgreSQL of a DATA_DIR, if the address is that of this PostgreSQL and it is
 * running.
 */
export function dataFolderBehind(dataDir: string, connectionString: string): string | undefined {
  try {
    const folder = clusterFolder(realpathSync(dataDir));
    const found = readPostmasterFile(folder);
    const [place] = hostsOf(readAddress(connectionString));
    if (found === undefined || !isThisMachine(place?.host ?? '') || place?.port !== found.port) return undefined;
    return isPostgresOf(folder, found.pid) ? folder : undefined;
  } catch {
    return undefined;
  }
}
