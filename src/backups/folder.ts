import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { partSuffix } from './backup-file.ts';

/*
 * The folder of scheduled backups. There is no other record of them, so a file that somebody deletes is gone from the
 * list too.
 */

/** @param at ms of Unix time */
export const backupName = (at: number) =>
  `metrology-${new Date(at).toISOString().replaceAll(/[-:]|\.\d+/g, '')}.backup`;

const namePattern = /^metrology-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z\.backup$/;

export interface KeptBackup {
  path: string;
  /** When the backup was begun, in ms of Unix time. */
  at: number;
}

/** Complete backups by their names, the newest first. None where the folder does not exist. */
export async function listBackups(folder: string): Promise<KeptBackup[]> {
  const names = await readdir(folder).catch(unlessMissing);
  return names
    .flatMap((name) => {
      const [, ...parts] = namePattern.exec(name) ?? [];
      const [year, month, day, hour, minute, second] = parts.map(Number) as [number, number, number, ...number[]];
      if (parts.length === 0) return [];
      return [{ path: join(folder, name), at: Date.UTC(year, month - 1, day, hour, minute, second) }];
    })
    .sort((a, b) => b.at - a.at);
}

/** Removes all but the newest, and partial files that a dead server left. No other process may be writing there. */
export async function removeOld(folder: string, keep: number): Promise<void> {
  for (const { path } of (await listBackups(folder)).slice(keep)) await rm(path, { force: true });
  for (const name of await readdir(folder)) {
    if (/^metrology-\d{8}T\d{6}Z\.backup\./.test(name) && name.endsWith(partSuffix)) {
      await rm(join(folder, name), { force: true });
    }
  }
}

function unlessMissing(error: { code?: string }): string[] {
  if (error.code !== 'ENOENT') throw error;
  return [];
}
