import { mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/**
 * Makes a folder, and those above it that are not there. Node's own way never comes back below /proc, where a folder is
 * neither there nor can be made.
 * @param mode of the folder itself; those above it get the usual one
 * @returns whether it was not there before
 * @throws the error of the system
 */
export function makeFolder(path: string, mode: number): boolean {
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
  return missing.length > 0;
}

function isThere(folder: string): boolean {
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found !== undefined && !found.isDirectory()) {
    throw Object.assign(new Error(`ENOTDIR: ${folder} is no folder`), { code: 'ENOTDIR' });
  }
  return found !== undefined;
}
