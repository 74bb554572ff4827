import { createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import pg from 'pg';
import type { Logger } from 'pino';
import { type Config, limits } from '../config.ts';
import { type Access, type Database, openAsOwner, openDatabase } from '../database/database.ts';
import { runningEmbeddedPostgres, startEmbeddedPostgres } from '../database/embedded.ts';
import { migrate, migrationProblem } from '../database/migrate.ts';
import { apiRole, explainRoles, makeLogin, makeRoles, serviceRole } from '../database/roles.ts';

/** A database that is reached and migrated, and how to leave it again. */
export interface Store {
  database: Database;
  /** How other processes of this machine reach the same database as this one does; holds a password. */
  connectionString: string;
  /** The same for the role that owns the tables. */
  ownerUrl: string;
  /** Where the data is, for people: no secret in it. */
  place: string;
  close(): Promise<void>;
}

const supportedVersions = { first: 15, last: 18 };

/**
 * Opens the PostgreSQL of DATABASE_URL, or starts the embedded one in DATA_DIR, and migrates it as the role of
 * MIGRATION_DATABASE_URL.
 * @param options.mayJoin for a command beside a running server: use the embedded PostgreSQL that the server has started.
 * @throws when it cannot be reached within DATABASE_START_MS, is no supported version, or belongs to another server.
 */
export async function openStore(config: Config, log: Logger, options: { mayJoin: boolean }): Promise<Store> {
  if (config.DATABASE_URL !== undefined) {
    const urls = {
      connectionString: config.DATABASE_URL,
      ownerUrl: config.MIGRATION_DATABASE_URL ?? config.DATABASE_URL,
    };
    const database = await connect(urls, config, log, { ownsLogin: false });
    return { database, ...urls, place: withoutSecret(config.DATABASE_URL), close: () => database.close() };
  }
  const joined = options.mayJoin ? await runningEmbeddedPostgres(config.DATA_DIR) : undefined;
  const embedded = joined === undefined ? await startEmbeddedPostgres({ dataDir: config.DATA_DIR, log }) : undefined;
  const close = async () => embedded?.stop();
  try {
    const ownerUrl = joined ?? (embedded?.connectionString as string);
    const urls = { connectionString: loginBeside(ownerUrl), ownerUrl };
    const database = await connect(urls, config, log, { ownsLogin: embedded !== undefined });
    const place = `${embedded?.dataDir ?? config.DATA_DIR} (embedded PostgreSQL 18)`;
    return { database, ...urls, place, close: () => database.close().then(close) };
  } catch (error) {
    await close();
    throw error;
  }
}

type Urls = Pick<Store, 'connectionString' | 'ownerUrl'>;

/** @param options.ownsLogin the login is this server's own and has the password of its address, whatever it was before */
async function connect(
  urls: Urls,
  config: Config,
  log: Logger,
  { ownsLogin }: { ownsLogin: boolean },
): Promise<Database> {
  await bringUpToDate(urls, ownsLogin, log);
  const database = openDatabase(urls.connectionString, {
    poolMax: config.DATABASE_POOL_MAX,
    onIdleError: (error) => log.warn({ err: error }, 'lost an idle database connection'),
  });
  try {
    await checkDatabase(database, urls.connectionString);
    return database;
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** Makes roles and tables, where that is for this server to do. */
async function bringUpToDate({ connectionString, ownerUrl }: Urls, ownsLogin: boolean, log: Logger): Promise<void> {
  const owner = openAsOwner(ownerUrl, { onIdleError: () => {}, statementMsMax: 0 });
  try {
    await checkVersion(owner, log);
    if (ownerUrl === connectionString && (await isOfAnother(owner))) return;
    await makeRoles(owner);
    const ran = await migrate(owner);
    if (ran.length > 0) log.info({ migrations: ran }, 'migrated the database');
    if (ownerUrl !== connectionString) await makeLogin(owner, connectionString, { ownsPassword: ownsLogin });
  } finally {
    await owner.close();
  }
}

/** Whether the tables are there already and owned by another role, so that migrating is for that one. */
async function isOfAnother({ pool }: Access): Promise<boolean> {
  const { rowCount } = await pool.query(
    `select from pg_class
     where relname = 'streams' and relnamespace = to_regnamespace(current_schema())
       and not pg_has_role(relowner, 'USAGE')`,
  );
  return rowCount !== 0;
}

/** @throws Error with a sentence when the server's own role cannot work with the tables as they are */
async function checkDatabase(database: Database, connectionString: string): Promise<void> {
  const name = decodeURIComponent(new URL(connectionString).username);
  const problem = await migrationProblem(database.service).catch((error) => {
    throw explainRoles(error, name);
  });
  if (problem !== undefined) throw new Error(problem);
  const bare = await database.service.pool.query<{ name: string }>(
    `select relname as name from pg_class c
     where relnamespace = to_regnamespace(current_schema()) and relrowsecurity
       and not exists (select from pg_policy where polrelid = c.oid)`,
  );
  if (bare.rowCount !== 0) {
    throw new Error(
      `The table ${bare.rows[0]?.name} lacks its policies, as after a restore into a PostgreSQL without the roles ` +
        `${apiRole} and ${serviceRole}. They are there now: restore the backup once more (docs/operations.md).`,
    );
  }
}

/**
 * The server's own login in the embedded PostgreSQL. Its password follows from that of the superuser, which does not follow
 * from it: nothing more has to be stored.
 */
function loginBeside(ownerUrl: string): string {
  const url = new URL(ownerUrl);
  url.password = createHmac('sha256', decodeURIComponent(url.password)).update(embeddedLogin).digest('base64url');
  url.username = embeddedLogin;
  return url.href;
}

const embeddedLogin = 'metrology_app';

/** Waits for a database that is just starting (as beside us in a container) before it gives up. */
async function checkVersion({ kysely }: Access, log: Logger): Promise<void> {
  const deadline = Date.now() + limits.databaseStartMsMax;
  for (;;) {
    try {
      const { rows } = await sql<{ major: number }>`
        select current_setting('server_version_num')::integer / 10000 as major`.execute(kysely);
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
