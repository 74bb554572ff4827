import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Made, Sink } from './backup.ts';

/** The suffix of a file that is still being written. */
export const partSuffix = '.part';

/**
 * Writes a backup under a temporary name, and renames it once it is complete and on disk. Until then, a file that has
 * the name already stays. Only the owner of the file may read it.
 * @throws with a sentence where the file cannot be written
 */
export async function writeFileWhole(path: string, make: (sink: Sink) => Promise<Made>): Promise<Made> {
  const part = `${path}.${process.pid}${partSuffix}`;
  const file = await open(part, 'wx', 0o600).catch((error) => {
    throw cannotWrite(path, error);
  });
  try {
    const made = await make(async (bytes) => {
      await file.writeFile(bytes).catch((error) => {
        throw cannotWrite(path, error);
      });
    });
    await file.sync();
    await file.close();
    await rename(part, path);
    await syncFolder(dirname(path));
    return made;
  } catch (error) {
    await file.close().catch(() => {});
    await rm(part, { force: true });
    throw error;
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  await folder.sync().finally(() => folder.close());
}

const cannotWrite = (path: string, error: Error) =>
  new Error(`The backup ${path} cannot be written: ${error.message}`, { cause: error });
