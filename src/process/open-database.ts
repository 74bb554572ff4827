import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import { listNodes } from '../database/cluster-nodes.ts';
import { dataFolderBehind } from '../database/data-folder.ts';
import { type Database, type OwnerDatabase, openAsOwner, openDatabase } from '../database/database.ts';
import { passingFailure, ServesNoMore } from '../database/failures.ts';
import { fitnessOf } from '../database/fitness.ts';
import { type DatabaseLimits, databaseLimits } from '../database/limits.ts';
import { migrate } from '../database/migrate.ts';
import { migrationProblem, readMigrations } from '../database/migrations.ts';
import { keepsSessions } from '../database/pooler.ts';
import { apiRole, explainRoles, letSeeTimeline, makeLogin, makeRoles, serviceRole } from '../database/roles.ts';
import { routeTo } from '../database/route.ts';
import { hasSqlstate, sqlstateClasses } from '../database/sqlstates.ts';
import { AddressError, loginName, readAddress } from '../lib/postgres-address.ts';
import { findDatabase } from './database-address.ts';
import { type ProcessLimits, processLimits } from './limits.ts';
import type { DatabaseAddresses } from './messages.ts';

/** An open, migrated database. `close` also stops the embedded PostgreSQL if it was started here. */
export interface Store extends DatabaseAddresses {
  database: Database;
  close(): Promise<void>;
}

/**
 * Opens the PostgreSQL of DATABASE_URL, or starts the embedded one in DATA_DIR, and migrates it as the role of
 * MIGRATION_DATABASE_URL.
 * @param options.mayJoin for a command beside a running server: use the embedded PostgreSQL that the server has started
 * @throws Error when it cannot be reached within `databaseWaitMsMax`, is not a supported version, or belongs to another
 * server
 */
export async function openStore(
  config: Config,
  log: Logger,
  options: { mayJoin: boolean; limits?: Partial<ProcessLimits> },
): Promise<Store> {
  const { close, ...addresses } = await findDatabase(config, log, options);
  try {
    const limits = { ...processLimits, ...options.limits };
    await prepareDatabase(addresses, log, { limits, mustBeDurable: false });
    const database = openDatabase(addresses.connectionString, {
      dataFolder: () => dataFolderBehind(config.DATA_DIR, addresses.connectionString),
      poolMax: config.DATABASE_POOL_MAX,
      onIdleError: (error) => log.warn({ reason: error.message }, 'lost an idle database connection'),
    });
    return { ...addresses, database, close: () => database.close().then(close) };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A database in which no tables were made yet. */
export interface Unprepared extends DatabaseAddresses {
  /** The database as the role that is going to own the tables. */
  owner: OwnerDatabase;
  /** Migrates and checks the database, as a start of the server does. */
  prepare(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens the same PostgreSQL for a restore: checks that tables can be made in it, makes the roles, and no tables.
 * @throws Error when it cannot be reached, is not a supported version, or the role may not make roles and tables
 */
export async function openUnprepared(
  config: Config,
  log: Logger,
  given: Partial<ProcessLimits> = {},
): Promise<Unprepared> {
  const { close, ...addresses } = await findDatabase(config, log, { mayJoin: true, limits: given });
  const { connectionString, ownerUrl, ownsLogin } = addresses;
  const owner = openAsOwner(ownerUrl, { onIdleError: () => {}, statementMsMax: 0 });
  const end = () => owner.close().then(close);
  try {
    if (!ownsLogin) await checkSessions(ownerUrl);
    const { problem } = await fitnessOf(owner, await readMigrations(), { mustOwn: ownerUrl !== connectionString });
    if (problem !== undefined) throw new Error(problem);
    await makeRoles(owner);
  } catch (error) {
    await end();
    throw error;
  }
  const limits = { ...processLimits, ...given };
  return {
    ...addresses,
    owner,
    prepare: () => prepareDatabase(addresses, log, { limits, mustBeDurable: false }),
    close: end,
  };
}

export interface PrepareOptions {
  limits: Pick<ProcessLimits, 'databaseWaitMsMax' | 'databasePauseMs' | 'waitLogMs'>;
  /** Also checks that PostgreSQL loses no commit. Required where chunks will be acknowledged. */
  mustBeDurable: boolean;
  /** Reads may go to a replica: their role needs one more right. */
  readsReplica?: boolean;
  /** Called each time that the database does not answer, before the wait for the next attempt. */
  onAway?: () => void;
}

/**
 * Prepares the database for this program: waits for it, makes roles and tables, and checks them.
 * @param options.limits `databaseWaitMsMax` may be Infinity
 * @throws Error with a sentence when it cannot be reached in time; at once for a problem that waiting does not solve
 */
export async function prepareDatabase(
  addresses: DatabaseAddresses,
  log: Logger,
  { limits, mustBeDurable, readsReplica = false, onAway }: PrepareOptions,
): Promise<void> {
  const deadline = performance.now() + limits.databaseWaitMsMax;
  let loggedAt = -Infinity;
  for (;;) {
    try {
      await bringUpToDate(addresses, log, readsReplica);
      return await check(addresses, mustBeDurable);
    } catch (error) {
      const reason = (error as Error).message;
      if (error instanceof ServesNoMore || error instanceof AddressError) throw error;
      if (isRefusal(error)) throw new Error(`The database refuses the connection: ${reason}`);
      if (passingFailure(error) === undefined) throw error;
      if (performance.now() > deadline) throw new Error(`The database cannot be reached: ${reason}`);
      onAway?.();
      if (performance.now() - loggedAt > limits.waitLogMs) {
        log.warn({ reason }, 'waiting for the database');
        loggedAt = performance.now();
      }
      await sleep(limits.databasePauseMs, undefined, { ref: false });
    }
  }
}

/**
 * Makes roles and tables, unless another role owns the tables and its address is not given. The embedded PostgreSQL has
 * no pooler in front of it, so there the check for one is left out.
 * @throws Error with a sentence when it cannot be done
 */
async function bringUpToDate(addresses: DatabaseAddresses, log: Logger, readsReplica: boolean): Promise<void> {
  const { connectionString, ownerUrl, ownsLogin } = addresses;
  if (!ownsLogin) await checkSessions(ownerUrl);
  const owner = openAsOwner(ownerUrl, { onIdleError: () => {}, statementMsMax: 0 });
  try {
    const { problem, isOfAnother } = await fitnessOf(owner, await readMigrations(), {
      mustOwn: ownerUrl !== connectionString,
    });
    if (problem !== undefined) throw new Error(problem);
    if (ownerUrl === connectionString && isOfAnother) return;
    await makeRoles(owner);
    if (readsReplica) await letSeeTimeline(owner);
    const ran = await migrate(owner, { log });
    if (ran.length > 0) log.info({ migrations: ran }, 'migrated the database');
    if (ownerUrl === connectionString) return;
    await makeLogin(owner, connectionString, { ownsPassword: ownsLogin });
    if (!ownsLogin) await checkSessions(connectionString);
  } finally {
    await owner.close();
  }
}

/** @throws Error with a sentence when the address leads to a pooler in transaction mode */
async function checkSessions(connectionString: string, limits: DatabaseLimits = databaseLimits): Promise<void> {
  if (await keepsSessions(routeTo(connectionString, limits), limits)) return;
  throw new Error(
    'The address of the database leads to a pooler in transaction mode: what the server sets for its own connections could ' +
      'stay on those of others. Let the pooler work in session mode (PgBouncer: pool_mode = session), or name PostgreSQL ' +
      'itself (docs/operations.md#poolers).',
  );
}

/** @throws Error with a sentence when the server's own role cannot use the tables, or when PostgreSQL may lose commits */
async function check({ connectionString }: DatabaseAddresses, mustBeDurable: boolean): Promise<void> {
  const database = openDatabase(connectionString, { poolMax: 1, onIdleError: () => {} });
  try {
    await checkDatabase(database, connectionString);
    if (mustBeDurable) await database.readiness.look();
    // Only a lasting problem is a refusal. A temporary one is waited for when a request meets it.
    const problem = database.readiness.refusal();
    if (problem !== undefined) throw new Error(problem);
  } finally {
    await database.close();
  }
}

async function checkDatabase(database: Database, connectionString: string): Promise<void> {
  const name = loginName(readAddress(connectionString));
  const { upkeep } = database.everyOrganization;
  const problem = await migrationProblem(upkeep).catch((error) => {
    throw explainRoles(error, name);
  });
  if (problem !== undefined) throw new Error(problem);
  // The default for transactions, as in `fitness.ts`.
  const mode = await upkeep.pool.query<{ isReadOnly: boolean }>(
    `select current_setting('default_transaction_read_only')::boolean and not pg_is_in_recovery() as "isReadOnly"`,
  );
  if (mode.rows[0]?.isReadOnly) {
    throw new Error(`The database is read-only for the role "${name}": set default_transaction_read_only off for it.`);
  }
  const bare = await upkeep.pool.query<{ name: string }>(
    `select relname as name from pg_class c
     where relnamespace = to_regnamespace(quote_ident(current_schema())) and relrowsecurity
       and not exists (select from pg_policy where polrelid = c.oid)`,
  );
  if (bare.rowCount !== 0) {
    throw new Error(
      `The table ${bare.rows[0]?.name} lacks its policies, as after a restore into a PostgreSQL without the roles ` +
        `${apiRole} and ${serviceRole}. They are there now: restore the backup once more (docs/operations.md).`,
    );
  }
}

/** One line for the log, where the database is a cluster. */
export async function sayWhereTablesAre(database: Database, log: Logger): Promise<void> {
  try {
    if (!(await database.isDistributed())) return;
    const nodes = await listNodes(database.everyOrganization.upkeep.pool);
    const workers = nodes.filter(({ isCoordinator, takesStreams }) => !isCoordinator && takesStreams);
    log.info({ workers: workers.map(({ name }) => name) }, `streams are distributed over ${workers.length} workers`);
  } catch (error) {
    log.warn({ err: error }, 'the nodes of the database could not be listed');
  }
}

/**
 * A wrong password, or an unknown role or database: waiting does not help. It does help while PostgreSQL starts (57P03)
 * or is full.
 */
function isRefusal(error: unknown): boolean {
  return hasSqlstate(error, sqlstateClasses.invalidAuthorizationSpecification, sqlstateClasses.invalidCatalogName);
}
