import { createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import { DataDirInUse } from '../database/embedded/lock.ts';
import { type EmbeddedPostgres, runningEmbeddedPostgres, startEmbeddedPostgres } from '../database/embedded.ts';
import { readAddress, shownAddressOf, withLogin } from '../lib/postgres-address.ts';
import { type ProcessLimits, processLimits } from './limits.ts';
import type { DatabaseAddresses } from './messages.ts';

/** The addresses of the database; `close` stops it if it was started here. */
export interface DatabaseAddress extends DatabaseAddresses {
  close(): Promise<void>;
}

/**
 * Finds the database. With DATABASE_URL it only reads the address, and does not connect. Otherwise it starts the embedded
 * PostgreSQL in DATA_DIR, and resolves when that accepts connections.
 * @param options.mayJoin for a command beside a running server: use the embedded PostgreSQL that the server has
 * started, and wait for one that is starting, at most `databaseWaitMsMax`
 * @throws Error when the embedded one does not start or belongs to another server
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
  /** Given when this process has started it. */
  embedded?: EmbeddedPostgres;
}

async function start(config: Config, log: Logger): Promise<Embedded> {
  const { DATA_DIR: dataDir, EMBEDDED_POSTGRES_DIR: binariesDir } = config;
  const embedded = await startEmbeddedPostgres({ dataDir, log, binariesDir });
  return { ownerUrl: embedded.connectionString, embedded };
}

/**
 * Joins a running embedded PostgreSQL, or starts one. While a server has locked DATA_DIR and its PostgreSQL does not
 * answer yet, neither is possible, so it tries again.
 */
async function joinOrStart(config: Config, log: Logger, given: Partial<ProcessLimits> = {}): Promise<Embedded> {
  const limits = { ...processLimits, ...given };
  const startedAt = performance.now();
  const waitedMs = () => performance.now() - startedAt;
  for (let isLogged = false; ; ) {
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
      if (!isLogged && waitedMs() >= limits.welcomeWaitMs) {
        isLogged = true;
        log.warn({ holder: error.holder }, 'waiting for the PostgreSQL of the server that has taken DATA_DIR');
      }
      await sleep(limits.databasePauseMs);
    }
  }
}

/**
 * The server's own login in the embedded PostgreSQL. Its password is derived one way (HMAC) from that of the superuser,
 * so it need not be stored and does not reveal the superuser's.
 */
function loginBeside(ownerUrl: string): string {
  const { password = '' } = readAddress(ownerUrl);
  return withLogin(ownerUrl, embeddedLogin, createHmac('sha256', password).update(embeddedLogin).digest('base64url'));
}

const embeddedLogin = 'metrology_app';
