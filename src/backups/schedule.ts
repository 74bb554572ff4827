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
  /** From the start of one backup to the start of the next. */
  everyMs: number;
  /** How many backups are kept. */
  keep: number;
  log: Log;
  /** Milliseconds of Unix time. */
  now?: () => number;
  limits?: Partial<BackupLimits>;
}

export interface Schedule {
  /**
   * Begins to check whether a backup is due, now and every `lookMs`.
   * @param connectionString of the server's own login
   */
  start(connectionString: string): void;
  /** Checks now, and makes a backup that is due. Never rejects. */
  look(): Promise<void>;
  /** Seconds since the newest backup in the folder was begun; since 1970 where there is none. */
  ageSeconds(): number;
  failureCount(): number;
  /** Ends a running backup and removes its file. */
  stop(): Promise<void>;
}

/**
 * Stands for "no backup". Infinity cannot be sent between processes; an age counted from 1970 also exceeds every alarm.
 */
const never = 0;

/** Advisory lock of all servers of a database: only one of them makes a backup at a time. */
const lockId = 7_203_118_440_012;

/**
 * Makes backups periodically and keeps the last ones. Many servers may use the same folder: the first one makes the
 * backup that is due, and the others find it there.
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
      // The database may have any size, so its statements have no time limit.
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

/** Runs `work` unless another server holds the lock. */
async function inTurn(database: Database, work: () => Promise<void>): Promise<void> {
  const client = await database.everyOrganization.upkeep.pool.connect();
  try {
    const { rows } = await client.query<{ taken: boolean }>('select pg_try_advisory_lock($1::bigint) as taken', [
      lockId,
    ]);
    if (rows[0]?.taken) await work();
  } finally {
    // Closing the session releases the lock.
    client.release(true);
  }
}
