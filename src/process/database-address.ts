import { createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import { DataDirInUse } from '../database/embedded/lock.ts';
import { type EmbeddedPostgres, runningEmbeddedPostgres, startEmbeddedPostgres } from '../database/embedded.ts';
import { readAddress, shownAddressOf, withLogin } from '../lib/postgres-address.ts';
import { type ProcessLimits, processLimits } from './limits.ts';
import type { DatabaseAddresses } from './messages.ts';

/** Where the database is, and how to leave it again. */
export interface DatabaseAddress extends DatabaseAddresses {
  close(): Promise<void>;
}

/**
 * The PostgreSQL of DATABASE_URL, reached or not; or the embedded one in DATA_DIR, which is started and accepts connections.
 * @param options.mayJoin for a command beside a running server: use the embedded PostgreSQL that the server has started.
 * Waits for one that is starting, at most `databaseWaitMsMax`.
 * @throws when the embedded one does not start or belongs to another server
 */
export async function findDatabase(
  config: Config,
  log: Logger,
  options: { mayJoin: boolean; limits?: Partial<ProcessLimits> },
): Promise<DatabaseAddress> {
  if (config.DATABASE_URL !== undefined) {
    const connectionString = config.DATABASE_URL;
    const ownerUrl = config.MIGRATION_DATABASE_URL ?? connectionString;
    const place = shownAddressOf(connectionString);
    return { connectionString, ownerUrl, place, ownsLogin: false, close: async () => {} };
  }
  const found = await (options.mayJoin ? joinOrStart(config, log, options.limits) : start(config, log));
  const { ownerUrl, embedded } = found;
  return {
    connectionString: loginBeside(ownerUrl),
    ownerUrl,
    place: embedded ? `${embedded.dataDir} (embedded PostgreSQL ${embedded.release})` : config.DATA_DIR,
    ownsLogin: embedded !== undefined,
    close: async () => embedded?.stop(),
  };
}

interface Embedded {
  ownerUrl: string;
  /** Where this process has started it. */
  embedded?: EmbeddedPostgres;
}

async function start(config: Config, log: Logger): Promise<Embedded> {
  const { DATA_DIR: dataDir, EMBEDDED_POSTGRES_DIR: binariesDir } = config;
  const embedded = await startEmbeddedPostgres({ dataDir, log, binariesDir });
  return { ownerUrl: embedded.connectionString, embedded };
}

/**
 * Between the moment in which a server takes the folder and the one in which its PostgreSQL answers, a command can neither join
 * nor start one.
 */
async function joinOrStart(config: Config, log: Logger, given: Partial<ProcessLimits> = {}): Promise<Embedded> {
  const limits = { ...processLimits, ...given };
  const startedAt = performance.now();
  const waitedMs = () => performance.now() - startedAt;
  for (let isSaid = false; ; ) {
    const joined = await runningEmbeddedPostgres(config.DATA_DIR);
    if (joined !== undefined) return { ownerUrl: joined };
    try {
      return await start(config, log);
    } catch (error) {
      if (!(error instanceof DataDirInUse)) throw error;
      if (waitedMs() >= limits.databaseWaitMsMax) {
        throw new Error(
          `${error.message} (waited ${limits.databaseWaitMsMax} ms for its PostgreSQL, databaseWaitMsMax)`,
        );
      }
      if (!isSaid && waitedMs() >= limits.welcomeWaitMs) {
        isSaid = true;
        log.warn({ holder: error.holder }, 'waiting for the PostgreSQL of the server that has taken DATA_DIR');
      }
      await sleep(limits.databasePauseMs);
    }
  }
}

/**
 * The server's own login in the embedded PostgreSQL. Its password follows from that of the superuser, which does not follow
 * from it: nothing more has to be stored.
 */
function loginBeside(ownerUrl: string): string {
  const { password = '' } = readAddress(ownerUrl);
  return withLogin(ownerUrl, embeddedLogin, createHmac('sha256', password).update(embeddedLogin).digest('base64url'));
}

const embeddedLogin = 'metrology_app';
