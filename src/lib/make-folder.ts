import { mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/**
 * Makes a folder, and its missing parents. Node's recursive `mkdir` never returns below /proc, where a folder neither
 * exists nor can be made.
 * @param mode permissions of the folder itself; its parents get the default ones
 * @throws the error of the system
 */
export function makeFolder(path: string, mode: number): void {
  const missing: string[] = [];
  for (let folder = resolve(path); !isThere(folder); folder = dirname(folder)) missing.unshift(folder);
  for (const [i, folder] of missing.entries()) {
    try {
      mkdirSync(folder, i === missing.length - 1 ? { mode } : {});
    } catch (error) {
      // Somebody else may have made it meanwhile.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

function isThere(folder: string): boolean {
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found !== undefined && !found.isDirectory()) {
    throw Object.assign(new Error(`ENOTDIR: ${folder} is no folder`), { code: 'ENOTDIR' });
  }
  return found !== undefined;
}
