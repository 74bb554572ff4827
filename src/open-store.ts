import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import pg from 'pg';
import type { Logger } from 'pino';
import { type Config, limits } from './config.ts';
import { type Database, openDatabase } from './database/database.ts';
import { runningEmbeddedPostgres, startEmbeddedPostgres } from './database/embedded.ts';
import { migrate } from './database/migrate.ts';

/** A database that is reached and migrated, and how to leave it again. */
export interface Store {
  database: Database;
  /** How other processes of this machine reach the same database; holds its password. */
  connectionString: string;
  /** Where the data is, for people: no secret in it. */
  place: string;
  close(): Promise<void>;
}

const supportedVersions = { first: 15, last: 18 };

/**
 * Opens the PostgreSQL of DATABASE_URL, or starts the embedded one in DATA_DIR, and migrates it.
 * @param options.mayJoin for a command beside a running server: use the embedded PostgreSQL that the server has started.
 * @throws when it cannot be reached within DATABASE_START_MS, is no supported version, or belongs to another server.
 */
export async function openStore(config: Config, log: Logger, options: { mayJoin: boolean }): Promise<Store> {
  if (config.DATABASE_URL !== undefined) {
    const database = await connect(config.DATABASE_URL, config, log);
    const place = withoutSecret(config.DATABASE_URL);
    return { database, connectionString: config.DATABASE_URL, place, close: () => database.close() };
  }
  const joined = options.mayJoin ? await runningEmbeddedPostgres(config.DATA_DIR) : undefined;
  const embedded = joined === undefined ? await startEmbeddedPostgres({ dataDir: config.DATA_DIR, log }) : undefined;
  const close = async () => embedded?.stop();
  try {
    const connectionString = joined ?? (embedded?.connectionString as string);
    const database = await connect(connectionString, config, log);
    const place = `${embedded?.dataDir ?? config.DATA_DIR} (embedded PostgreSQL 18)`;
    return { database, connectionString, place, close: () => database.close().then(close) };
  } catch (error) {
    await close();
    throw error;
  }
}

async function connect(connectionString: string, config: Config, log: Logger): Promise<Database> {
  const database = openDatabase(connectionString, {
    poolMax: config.DATABASE_POOL_MAX,
    onIdleError: (error) => log.warn({ err: error }, 'lost an idle database connection'),
  });
  try {
    await checkVersion(database, log);
    await bringUpToDate(connectionString, log);
    return database;
  } catch (error) {
    await database.close();
    throw error;
  }
}

async function bringUpToDate(connectionString: string, log: Logger): Promise<void> {
  const database = openDatabase(connectionString, { poolMax: 1, onIdleError: () => {}, statementMsMax: 0 });
  try {
    const ran = await migrate(database);
    if (ran.length > 0) log.info({ migrations: ran }, 'migrated the database');
  } finally {
    await database.close();
  }
}

/** Waits for a database that is just starting (as beside us in a container) before it gives up. */
async function checkVersion(database: Database, log: Logger): Promise<void> {
  const deadline = Date.now() + limits.databaseStartMsMax;
  for (;;) {
    try {
      const { rows } = await sql<{ major: number }>`
        select current_setting('server_version_num')::integer / 10000 as major`.execute(database.kysely);
      const major = rows[0]?.major ?? 0;
      if (major >= supportedVersions.first && major <= supportedVersions.last) return;
      throw new UnsupportedVersionError(major);
    } catch (error) {
      if (error instanceof UnsupportedVersionError) throw error;
      if (isRefusal(error)) throw new Error(`The database refuses the connection: ${(error as Error).message}`);
      if (Date.now() > deadline) throw new Error(`The database cannot be reached: ${(error as Error).message}`);
      log.info({ reason: (error as Error).message }, 'waiting for the database');
      await sleep(500);
    }
  }
}

/** Wrong password, unknown role or database: waiting does not help, as it does for one that starts (57P03) or is full. */
function isRefusal(error: unknown): boolean {
  return error instanceof pg.DatabaseError && /^(28|3D)/.test(error.code ?? '');
}

class UnsupportedVersionError extends Error {
  constructor(major: number) {
    super(`PostgreSQL ${major} is not supported: use ${supportedVersions.first} to ${supportedVersions.last}.`);
  }
}

function withoutSecret(connectionString: string): string {
  const url = new URL(connectionString);
  return `postgresql://${url.host}${url.pathname}`;
}
