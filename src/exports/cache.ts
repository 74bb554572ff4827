/** Exports that are made once and kept as files: bounded, and found by a key that says all that they are made of. */
import { randomUUID } from 'node:crypto';
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pieces } from '../lib/json-writer.ts';
import type { ExportLimits } from './limits.ts';

export interface ExportCache {
  /**
   * The file of a key, to be closed by the caller, and its bytes. When it is not there, it is made first, and whoever asks for
   * it meanwhile waits for the same one.
   * @returns undefined when it cannot be kept: too large, the folder does not take it, or `keptMakesMax` others are being
   *   made. Nobody waits for those of somebody else.
   * @throws what making it throws
   */
  open(key: string, make: () => Promise<Pieces>): Promise<KeptFile | undefined>;
}

export interface KeptFile {
  handle: FileHandle;
  bytes: number;
}

interface CacheOptions {
  /** Several processes may share it. It is made for this account alone. */
  folder: string;
  /** What all files together may hold; the ones that were not asked for the longest go first. */
  bytesMax: number;
  limits: Pick<ExportLimits, 'keptFileShare' | 'keptMakesMax' | 'partMsMax' | 'tooLargeMax'>;
  /** Is told why files cannot be kept. */
  report: (error: Error) => void;
  /** Milliseconds since 1970. */
  now?: () => number;
}

/** Why a file is not kept although what is in it could be read. */
class NotKept extends Error {}

export function createExportCache({ folder, bytesMax, limits, report, now = Date.now }: CacheOptions): ExportCache {
  const making = new Map<string, Promise<boolean>>();
  /** Which are not begun again, only to be given up at the same place. */
  const tooLarge = new Set<string>();

  async function find(key: string): Promise<KeptFile | undefined> {
    const path = join(folder, key);
    // Why a folder cannot be read is told when something is to be kept in it.
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
      // Whoever asks is served all the same; what reading throws is for them.
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

/** @throws when the folder is not this account's alone: under a shared folder somebody else may have made it before */
async function ownFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const found = await lstat(folder);
  if (found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0) return;
  throw new Error(`${folder} is not a folder of this account alone (mode 700)`);
}

/** Removes what was not asked for the longest, until the rest fits, and what makers left behind that are gone. */
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
