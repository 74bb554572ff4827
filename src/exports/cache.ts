/** Keeps exports as files. Its size is bounded, and a key stands for everything that a file is made from. */
import { randomUUID } from 'node:crypto';
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pieces } from '../lib/json-writer.ts';
import type { ExportLimits } from './limits.ts';

export interface ExportCache {
  /**
   * Opens the file of a key; the caller closes it. A file that does not exist is made first, and callers that ask for the
   * same key meanwhile share the work.
   * @returns undefined when the file cannot be kept: it is too large, or the folder cannot be written, or `keptMakesMax`
   * other files are being made. A caller never waits for the file of another key.
   * @throws what `make` throws
   */
  open(key: string, make: () => Promise<Pieces>): Promise<KeptFile | undefined>;
}

export interface KeptFile {
  handle: FileHandle;
  bytes: number;
}

interface CacheOptions {
  /** May be shared by several processes. It is created with access for this account only. */
  folder: string;
  /** Bound on all files together. The files that were not used for the longest time are removed first. */
  bytesMax: number;
  limits: Pick<ExportLimits, 'keptFileShare' | 'keptMakesMax' | 'partMsMax' | 'tooLargeMax'>;
  /** Is called with the reason when a file cannot be kept. */
  report: (error: Error) => void;
  /** Milliseconds since 1970. */
  now?: () => number;
}

/** The reason why a file could not be kept, although its contents could be read. */
class NotKept extends Error {}

export function createExportCache({ folder, bytesMax, limits, report, now = Date.now }: CacheOptions): ExportCache {
  const making = new Map<string, Promise<boolean>>();
  /** Keys of files that are too large, so that they are not begun again in vain. */
  const tooLarge = new Set<string>();

  async function find(key: string): Promise<KeptFile | undefined> {
    const path = join(folder, key);
    // If the folder cannot be read, the error is reported when a file is to be written there.
    const handle = await open(path, 'r').catch(() => undefined);
    if (handle === undefined) return undefined;
    const seconds = now() / 1_000;
    await utimes(path, seconds, seconds).catch(() => {});
    return { handle, bytes: (await handle.stat()).size };
  }

  /** @returns whether the file is there now */
  async function keep(key: string, pieces: Pieces): Promise<boolean> {
    const part = join(folder, `${key}.${randomUUID()}.part`);
    let file: FileHandle | undefined;
    try {
      await ownFolder(folder).catch(notKept);
      file = await open(part, 'wx', 0o600).catch(notKept);
      let bytes = 0;
      for await (const piece of pieces) {
        bytes += piece.length;
        if (bytes > bytesMax * limits.keptFileShare) {
          if (tooLarge.size >= limits.tooLargeMax) tooLarge.clear();
          tooLarge.add(key);
          return false;
        }
        await file.writeFile(piece).catch(notKept);
      }
      await file.close().catch(notKept);
      await rename(part, join(folder, key)).catch(notKept);
      await sweep(folder, bytesMax, now() - limits.partMsMax).catch(notKept);
      return true;
    } catch (error) {
      // The caller gets its export without a file. Errors of reading the data are passed on to it.
      if (!(error instanceof NotKept)) throw error;
      report(error);
      return false;
    } finally {
      await pieces.return();
      await file?.close().catch(() => {});
      await rm(part, { force: true }).catch(() => {});
    }
  }

  function begin(key: string, make: () => Promise<Pieces>): Promise<boolean> | undefined {
    if (making.size >= limits.keptMakesMax) return undefined;
    const made = make()
      .then((pieces) => keep(key, pieces))
      .finally(() => making.delete(key));
    making.set(key, made);
    return made;
  }

  return {
    async open(key, make) {
      if (tooLarge.has(key)) return undefined;
      const found = await find(key);
      if (found !== undefined) return found;
      const made = making.get(key) ?? begin(key, make);
      return (await made) ? find(key) : undefined;
    },
  };
}

/**
 * @throws when other accounts have access to the folder, or own it: inside a shared folder somebody else may have created
 * it
 */
async function ownFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const found = await lstat(folder);
  if (found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0) return;
  throw new Error(`${folder} is not a folder of this account alone (mode 700)`);
}

/** Removes the least recently used files until the rest fits, and unfinished files whose process has gone. */
async function sweep(folder: string, bytesMax: number, partsBeforeMs: number): Promise<void> {
  const names = await readdir(folder);
  const files = await Promise.all(
    names.map(async (name) => {
      const path = join(folder, name);
      const found = await stat(path).catch(unlessMissing);
      return { path, bytes: found?.size ?? 0, usedMs: found?.mtimeMs ?? 0, isPart: name.endsWith('.part') };
    }),
  );
  for (const { path } of files.filter((file) => file.isPart && file.usedMs < partsBeforeMs))
    await rm(path, { force: true });
  let rest = bytesMax;
  for (const file of files.filter(({ isPart }) => !isPart).sort((a, b) => b.usedMs - a.usedMs)) {
    rest -= file.bytes;
    if (rest < 0) await rm(file.path, { force: true });
  }
}

function notKept(error: Error): never {
  throw new NotKept(`exports cannot be kept: ${error.message}`, { cause: error });
}

function unlessMissing(error: { code?: string }): undefined {
  if (error.code !== 'ENOENT') throw error;
}
