import { join } from 'node:path';
import { type Database, openDatabase } from '../database/database.ts';
import { makeFolder } from '../lib/make-folder.ts';
import { backUp } from './backup.ts';
import { writeFileWhole } from './backup-file.ts';
import { backupName, listBackups, removeOld } from './folder.ts';
import { type BackupLimits, backupLimits } from './limits.ts';

interface Log {
  info(about: object, message: string): void;
  error(about: object, message: string): void;
}

export interface ScheduleOptions {
  folder: string;
  /** From the beginning of one to that of the next. */
  everyMs: number;
  /** How many stay. */
  keep: number;
  log: Log;
  /** Milliseconds of Unix time. */
  now?: () => number;
  limits?: Partial<BackupLimits>;
}

export interface Schedule {
  /** Begins to look whether one is due, now and every `lookMs`. @param connectionString of the server's own login */
  start(connectionString: string): void;
  /** Looks now. Never rejects. */
  look(): Promise<void>;
  /** Seconds since the newest that stands in the folder was begun; where there is none, since 1970. */
  ageSeconds(): number;
  failureCount(): number;
  /** Ends one that is under way, of which nothing stays. */
  stop(): Promise<void>;
}

/** A number that goes through every channel between processes, as infinity does not, and is beyond every alarm. */
const never = 0;

/** Shared by all servers of a database: only one of them makes a backup at a time. */
const turn = 7_203_118_440_012;

/**
 * Makes backups from time to time and keeps the last of them. Many servers may have the same folder: whoever comes first makes the
 * one that is due, and the others find it there.
 */
export function createSchedule(options: ScheduleOptions): Schedule {
  const { folder, everyMs, keep, log, now = Date.now } = options;
  const limits = { ...backupLimits, ...options.limits };
  const stopping = new AbortController();
  let address: string | undefined;
  let newestAt = never;
  let failedAt = Number.NEGATIVE_INFINITY;
  let failures = 0;
  let looking: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  const isDue = async () => {
    newestAt = (await listBackups(folder))[0]?.at ?? never;
    return now() - newestAt >= everyMs;
  };

  async function makeOne(database: Database): Promise<void> {
    makeFolder(folder, 0o700);
    const begunAt = now();
    const path = join(folder, backupName(begunAt));
    const make = (sink: Parameters<typeof backUp>[1]) => backUp(database, sink, { signal: stopping.signal, limits });
    const { bytes } = await writeFileWhole(path, make);
    await removeOld(folder, keep);
    await isDue();
    log.info({ file: path, bytes, seconds: Math.round((now() - begunAt) / 1_000) }, 'a backup was made');
  }

  async function lookNow(): Promise<void> {
    try {
      const mayTry = now() - failedAt >= limits.retryMs && !stopping.signal.aborted;
      if (address === undefined || !(await isDue()) || !mayTry) return;
      // Of a database of any size, so no statement is bounded.
      const database = openDatabase(address, { poolMax: 1, onIdleError: () => {}, statementMsMax: 0 });
      await inTurn(database, async () => {
        if (await isDue()) await makeOne(database);
      }).finally(() => database.close());
    } catch (error) {
      if (stopping.signal.aborted) return;
      failures++;
      failedAt = now();
      log.error({ err: error, folder, retryMs: limits.retryMs }, 'a scheduled backup failed');
    }
  }

  const look = () => {
    looking ??= lookNow().finally(() => {
      looking = undefined;
    });
    return looking;
  };

  return {
    start(connectionString) {
      address = connectionString;
      if (stopping.signal.aborted) return;
      timer = setInterval(() => void look(), limits.lookMs);
      timer.unref();
      void look();
    },
    look,
    ageSeconds: () => (now() - newestAt) / 1_000,
    failureCount: () => failures,
    async stop() {
      clearInterval(timer);
      stopping.abort(new Error('the server is being stopped'));
      await looking;
    },
  };
}

/** Does it unless another server is at it. */
async function inTurn(database: Database, work: () => Promise<void>): Promise<void> {
  const client = await database.everyOrganization.upkeep.pool.connect();
  try {
    const { rows } = await client.query<{ taken: boolean }>('select pg_try_advisory_lock($1::bigint) as taken', [turn]);
    if (rows[0]?.taken) await work();
  } finally {
    // With its session ends the turn.
    client.release(true);
  }
}
