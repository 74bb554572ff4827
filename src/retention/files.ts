/** Files of an archive: written completely or not at all, and read back. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ArchivedFile } from './archive-format.ts';

/** Writes a new file and syncs it to disk. */
export async function writeFileDurably(
  folder: string,
  name: string,
  pieces: AsyncIterable<Buffer>,
): Promise<ArchivedFile> {
  const file = await open(join(folder, name), 'wx', 0o600);
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    for await (const piece of pieces) {
      hash.update(piece);
      bytes += piece.length;
      await file.writeFile(piece);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return { name, bytes, sha256: hash.digest('hex') };
}

/** Makes an empty folder, and removes what a killed process has left there. */
export async function makeEmptyFolder(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
  await mkdir(path, { recursive: true, mode: 0o700 });
}

/** Renames a complete folder to its final name, so that it survives a power cut. */
export async function publish(part: string, path: string): Promise<void> {
  await syncFolder(part);
  await rename(part, path);
  await syncFolder(dirname(path));
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** @throws Error with the name of the file when it has changed since it was written */
export async function requireSameFile(folder: string, { name, bytes, sha256 }: ArchivedFile): Promise<void> {
  const path = join(folder, name);
  const hash = createHash('sha256');
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer);
  if (hash.digest('hex') !== sha256)
    throw new Error(`${path} is not the file that was archived (${bytes} bytes, SHA-256 ${sha256})`);
}

/** @throws Error where the file does not exist, is no JSON, or is larger than `bytesMax` */
export async function readJson(path: string, bytesMax: number): Promise<unknown> {
  const { size } = await stat(path);
  if (size > bytesMax)
    throw new Error(`${path} has ${size} bytes, and at most ${bytesMax} are read (documentBytesMax)`);
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new Error(`${path} is not the JSON of an archive: ${(error as Error).message}`);
  }
}
