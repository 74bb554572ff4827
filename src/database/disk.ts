/*
 * Watches the free space on the disk of the database. Below the first mark the log warns, below the second no new
 * stream is opened, below the last nothing is stored. PostgreSQL needs some space to keep running; as long as it runs,
 * reads go on too (docs/decisions/0050-a-disk-that-is-full.md).
 */
import { statfs } from 'node:fs/promises';
import { DiskFull } from './failures.ts';
import { hasSqlstate, sqlstates } from './sqlstates.ts';

export interface DiskOptions {
  /** A folder on the disk of the database; undefined while it is not known, or where it is not on this machine. */
  folder(): string | undefined;
  /** DISK_WARN_BYTES and DISK_REFUSE_BYTES; 0 for no such mark. */
  warnBytes: number;
  refuseBytes: number;
  /** Reads the space on the disk of a folder; by default from the operating system. */
  roomOf?: (folder: string) => Promise<Room>;
}

/** In bytes. */
export interface Room {
  /** What this user may still write. */
  free: number;
  size: number;
}

export interface Disk {
  /** Checks the disk, unless that was just done, and logs what has changed. Never rejects. */
  look(log?: DiskLog): Promise<void>;
  /** Undefined where the disk is not known. */
  room(): Room | undefined;
  /** A warning to the operator, in a sentence; undefined when there is none. */
  warning(): string | undefined;
  /** Why no new stream is opened, in a sentence; undefined when streams are opened. */
  refusal(): string | undefined;
  /** Why nothing is stored, in a sentence; undefined when there is space. */
  full(): string | undefined;
  /** Takes an error of a store. Where the disk is not known, this is how a full disk is noticed. */
  note(error: unknown): void;
}

interface DiskLog {
  warn(about: object, message: string): void;
  error(about: object, message: string): void;
}

interface Bounds {
  diskFullBytes: number;
  diskKeepMs: number;
  diskFullSaidMs: number;
}

/** The mark that the free space is below. */
type Level = 'ample' | 'low' | 'scarce' | 'full';

/**
 * A level is left only at this multiple of its mark, so that a disk whose free space stays near a mark does not fill
 * the log.
 */
const leaveFactor = 1.05;

/** @param now milliseconds from any origin */
export function createDisk(given: DiskOptions | undefined, bounds: Bounds, now = () => performance.now()): Disk {
  const { roomOf = askSystem, ...options } = given ?? { folder: () => undefined, warnBytes: 0, refuseBytes: 0 };
  const marks = [
    ['full', bounds.diskFullBytes],
    ['scarce', options.refuseBytes],
    ['low', options.warnBytes],
  ] as const;
  let room: Room | undefined;
  let level: Level = 'ample';
  let lookedAt = Number.NEGATIVE_INFINITY;
  let reportedFullAt = Number.NEGATIVE_INFINITY;
  let looking: Promise<void> | undefined;

  const isReportedFull = () => room === undefined && now() - reportedFullAt < bounds.diskFullSaidMs;

  function levelOf({ free }: Room): Level {
    const isWithin = marks.findIndex(([name]) => name === level);
    const factorAt = (place: number) => (isWithin !== -1 && place >= isWithin ? leaveFactor : 1);
    return marks.find(([, bytes], place) => free < bytes * factorAt(place))?.[0] ?? 'ample';
  }

  async function lookNow(log: DiskLog | undefined): Promise<void> {
    const folder = options.folder();
    room = folder === undefined ? undefined : await roomOf(folder).catch(() => undefined);
    lookedAt = now();
    const before = level;
    level = room === undefined ? (isReportedFull() ? 'full' : 'ample') : levelOf(room);
    if (level !== before) logChange(log);
  }

  function logChange(log: DiskLog | undefined): void {
    const fields = room === undefined ? {} : { freeBytes: room.free, sizeBytes: room.size };
    if (level === 'ample') log?.warn(fields, 'the disk of the database has room again');
    else if (level === 'low') log?.warn(fields, disk.warning() as string);
    else log?.error(fields, (disk.full() ?? disk.refusal()) as string);
  }

  const left = () => (room === undefined ? '' : ` (${inMiB(room.free)} are left)`);
  const disk: Disk = {
    async look(log) {
      if (looking === undefined && now() - lookedAt >= bounds.diskKeepMs) {
        looking = lookNow(log).finally(() => {
          looking = undefined;
        });
      }
      await looking;
    },
    room: () => room,
    warning() {
      if (level === 'ample') return undefined;
      if (level !== 'low') return disk.full() ?? disk.refusal();
      return `The disk of the database has less room than DISK_WARN_BYTES, ${inMiB(options.warnBytes)}${left()}.`;
    },
    refusal() {
      if (level !== 'scarce') return disk.full();
      return (
        `The disk of the database has less room than DISK_REFUSE_BYTES, ${inMiB(options.refuseBytes)}${left()}: ` +
        'no new stream is opened until there is more, and those that are open go on.'
      );
    },
    full() {
      if (isReportedFull()) return 'The disk of the database is full: PostgreSQL has no room to store anything.';
      if (level !== 'full' || room === undefined) return undefined;
      const bound = `${inMiB(bounds.diskFullBytes)} (diskFullBytes)`;
      return `The disk of the database is full: ${inMiB(room.free)} are left, and below ${bound} nothing is stored.`;
    },
    note(error) {
      if (hasSqlstate(error, sqlstates.diskFull)) reportedFullAt = now();
    },
  };
  return disk;
}

/** The error that everything that stores must fail with; undefined when there is space. */
export const diskFailure = (disk: Pick<Disk, 'full'>): DiskFull | undefined => {
  const sentence = disk.full();
  return sentence === undefined ? undefined : new DiskFull(sentence.replace(/\.$/, ''));
};

async function askSystem(folder: string): Promise<Room> {
  const { bavail, blocks, bsize } = await statfs(folder);
  return { free: bavail * bsize, size: blocks * bsize };
}

const inMiB = (bytes: number) => `${Math.floor(bytes / 1024 ** 2).toLocaleString('en')} MiB`;
