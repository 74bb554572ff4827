import { execFileSync } from 'node:child_process';
import { chmodSync, closeSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A disk in memory that is small enough to fill. */
export interface SmallDisk {
  folder: string;
  /** Leaves no room at all. */
  fill(): void;
  clear(): void;
  remove(): Promise<void>;
}

/** Only root may mount one. */
export const canMount = process.getuid?.() === 0;

export async function openSmallDisk(sizeMiB: number): Promise<SmallDisk> {
  const parent = await mkdtemp(join(tmpdir(), 'metrology-disk-'));
  chmodSync(parent, 0o711);
  const folder = join(parent, 'disk');
  mkdirSync(folder);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMiB}m,mode=711`, 'tmpfs', folder]);
  const ballast = join(folder, 'ballast');
  return {
    folder,
    fill() {
      const file = openSync(ballast, 'w');
      const piece = Buffer.alloc(1024 * 1024);
      try {
        for (;;) writeSync(file, piece);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      } finally {
        closeSync(file);
      }
      const { bavail, bsize } = statfsSync(folder);
      if (bavail * bsize > piece.length) throw new Error('the disk is not full');
    },
    clear: () => rmSync(ballast, { force: true }),
    async remove() {
      execFileSync('umount', ['--lazy', folder]);
      await rm(parent, { recursive: true, force: true });
    },
  };
}
