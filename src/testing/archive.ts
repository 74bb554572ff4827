import { createHash } from 'node:crypto';
import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/*
 * A folder packed into one file: a SHA-256 of the rest, a line of JSON that lists the contents, then the bytes of the
 * files. One file can be published by one rename, so nobody ever reads half of it, and the hash shows whether it is
 * damaged.
 */

interface Entry {
  path: string;
  /** Permission bits. */
  mode: number;
  /** Bytes of a file; undefined for a folder. */
  size?: number;
}

const hashBytes = 32;

/** Packs plain files and folders, except `leaveOut`. */
export function packFolder(folder: string, leaveOut: readonly string[] = []): Buffer {
  const entries: Entry[] = [];
  const parts: Buffer[] = [];
  const walk = (path: string) => {
    for (const name of readdirSync(join(folder, path)).sort()) {
      const inner = path === '' ? name : `${path}/${name}`;
      if (leaveOut.includes(inner)) continue;
      const found = lstatSync(join(folder, inner));
      const mode = found.mode & 0o777;
      if (found.isDirectory()) {
        entries.push({ path: inner, mode });
        walk(inner);
      } else {
        const bytes = readFileSync(join(folder, inner));
        entries.push({ path: inner, mode, size: bytes.length });
        parts.push(bytes);
      }
    }
  };
  walk('');
  const content = Buffer.concat([Buffer.from(`${JSON.stringify(entries)}\n`), ...parts]);
  return Buffer.concat([createHash('sha256').update(content).digest(), content]);
}

/**
 * Creates `folder` (mode 0700) with the packed contents.
 * @throws Error when the bytes are not what `packFolder` made; then nothing is created
 */
export function unpackFolder(packed: Buffer, folder: string): void {
  const content = packed.subarray(hashBytes);
  const hash = createHash('sha256').update(content).digest();
  if (!hash.equals(packed.subarray(0, hashBytes))) throw new Error('the packed folder is damaged');
  const listEnd = content.indexOf('\n');
  const entries = JSON.parse(content.toString('utf8', 0, listEnd)) as Entry[];
  mkdirSync(folder, { mode: 0o700 });
  let at = listEnd + 1;
  for (const { path, mode, size } of entries) {
    const target = join(folder, path);
    if (size === undefined) {
      mkdirSync(target);
      // The mode that is given to mkdir is reduced by the umask.
      chmodSync(target, mode);
    } else {
      writeFileSync(target, content.subarray(at, at + size), { mode });
      at += size;
    }
  }
}
