/*
 * The disk space that the embedded PostgreSQL needs. A PostgreSQL that cannot write its log ends, and it cannot start
 * again without space. So a reserve file lies beside its data, and is deleted when the disk is full. The reserve lasts,
 * because the server stores nothing while the disk is full (`disk.ts`).
 */
import { randomFillSync } from 'node:crypto';
import { closeSync, copyFileSync, openSync, rmSync, statfsSync, statSync, truncateSync, writeSync } from 'node:fs';
import type { EmbeddedLimits } from './limits.ts';
import type { EmbeddedLog } from './log.ts';

export interface EmbeddedRoom {
  /** Whether PostgreSQL can hardly write anything: less than one file of its log is left. */
  isFull(): boolean;
  /** Deletes the reserve if the disk is full. */
  giveWhenFull(): void;
  /** Makes the reserve again when there is enough space for it, and keeps the log of PostgreSQL short. */
  keep(): void;
}

interface RoomOptions {
  clusterDir: string;
  logFile: string;
  log: EmbeddedLog;
  limits: EmbeddedLimits;
  /** Free bytes on the disk of a folder; asks the operating system by default. */
  freeBytesOf?: ((folder: string) => number) | undefined;
}

export function createRoom({ clusterDir, logFile, log, limits, ...given }: RoomOptions): EmbeddedRoom {
  const { freeBytesOf = askSystem } = given;
  const reserve = `${clusterDir}-reserve`;
  const free = () => freeBytesOf(clusterDir);
  const held = () => statSync(reserve, { throwIfNoEntry: false })?.size ?? 0;

  function makeReserve(): void {
    const bytes = limits.diskReserveBytes;
    if (bytes === 0 || held() >= bytes || free() < bytes + limits.diskReserveAtBytes) return;
    try {
      fill(reserve, bytes);
    } catch (error) {
      rmSync(reserve, { force: true });
      log.warn({ err: error, reserve }, 'no room could be held in reserve for PostgreSQL');
    }
  }

  const room: EmbeddedRoom = {
    isFull: () => free() < limits.diskLeastBytes,
    giveWhenFull() {
      if (held() === 0 || !room.isFull()) return;
      rmSync(reserve, { force: true });
      log.error({ reserve }, 'the disk is full: PostgreSQL goes on with what was held in reserve. Make room there');
    },
    keep() {
      room.giveWhenFull();
      makeReserve();
      shorten(logFile, limits.logBytesMax);
    },
  };
  return room;
}

/** Random bytes, so that a compressing file system does not make the file small. */
function fill(path: string, bytes: number): void {
  const piece = randomFillSync(Buffer.alloc(Math.min(bytes, 1024 ** 2)));
  const file = openSync(path, 'w', 0o600);
  try {
    for (let left = bytes; left > 0; left -= piece.length) writeSync(file, piece, 0, Math.min(left, piece.length));
  } finally {
    closeSync(file);
  }
}

/**
 * Moves a long log aside while PostgreSQL writes to it: PostgreSQL appends, so it goes on at the start of the emptied
 * file. If there is no space for a copy, the previous copy is deleted, and this log is lost.
 */
export function shorten(logFile: string, bytesMax: number): void {
  const size = statSync(logFile, { throwIfNoEntry: false })?.size ?? 0;
  if (size < bytesMax) return;
  try {
    copyFileSync(logFile, `${logFile}.1`);
  } catch {
    rmSync(`${logFile}.1`, { force: true, recursive: true });
  }
  truncateSync(logFile);
}

function askSystem(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}
