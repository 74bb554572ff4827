import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Made, Sink } from './backup.ts';

/** Names of files that are being written end so. */
export const partSuffix = '.part';

/**
 * Makes a backup under another name, and gives it its own once it is whole and on the disk. What stood under the name stays until then.
 * Nobody but its owner may read it.
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
