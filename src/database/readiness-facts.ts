/** The facts that a server checks about its database, and the sentences for what is wrong. */
import type pg from 'pg';
import type { ConnectionSource } from './access.ts';
import { isDistributedSql } from './distribution.ts';
import { type MigrationFile, problemBetween, ranMigrations } from './migrations.ts';
import { apiRole, serviceRole } from './roles.ts';
import { backendOf, rolesLost, sessionLost } from './session.ts';
import { hasSqlstate, sqlstates } from './sqlstates.ts';

/**
 * Why the server may not go on, in one sentence that everybody may read: it contains no address and no name of a
 * database.
 */
export interface Problem {
  sentence: string;
  /** It can pass by itself, and nothing can be stored meanwhile: the database is away, or is a standby. */
  passes: boolean;
  /** Reads are not safe either: they might show the rows of another organization. */
  forbidsReads?: boolean;
  /** What makes it another problem for the log, where the sentence has figures that change with each look. */
  gist?: string;
}

/**
 * Identifies the database. It stays the same after a restart, a crash and a switch to a replica, and differs after a
 * restore, and once it is distributed.
 */
export async function readIdentity(
  client: Pick<pg.ClientBase, 'query'> | Pick<ConnectionSource, 'query'>,
): Promise<string> {
  const { rows } = await (client as Pick<pg.ClientBase, 'query'>).query<{ identity: string }>(
    `select system_identifier || ' ' || (select oid from pg_database where datname = current_database())
       || case when ${isDistributedSql} then '${distributedMark}' else '' end as identity
     from pg_control_system()`,
  );
  return rows[0]?.identity as string;
}

const distributedMark = ' distributed';

/** Why a server that began on one database does not go on with what its address leads to now. */
export const otherDatabase = (first: string, present: string) =>
  present === first + distributedMark
    ? 'The database has been distributed since the start of this server: restart the server.'
    : 'The address of the database leads to another database than at the start of this server: restart the server to use that.';

/** What is wrong with the database, the most serious first. @throws when it cannot be queried */
export async function findProblem(
  pool: ConnectionSource,
  files: readonly MigrationFile[],
): Promise<Problem | undefined> {
  const { facts, isOwnBackend } = await askFacts(pool);
  const lasting = (sentence: string): Problem => ({ sentence, passes: false });
  if (!isOwnBackend || facts.role !== serviceRole) return { ...lasting(sessionLost('role')), forbidsReads: true };
  if (facts.isStandby) return { sentence: 'The database is a standby, which takes no writes.', passes: true };
  if (facts.weakSettings !== null) {
    return lasting(`The database may lose what it has committed: ${facts.weakSettings} must not be off.`);
  }
  if (facts.roleLost) return lasting(rolesLost);
  const mismatch = problemBetween(files, await ranMigrations({ pool }));
  if (mismatch !== undefined) return lasting(mismatch);
  if (facts.missing !== null) return lasting(`The database lacks ${facts.missing}, or the rights to use it.`);
  if (facts.bare !== null) return lasting(`The table ${facts.bare} lacks its policies (docs/operations.md#backup).`);
  return undefined;
}

/** Uses a connection whose role and backend were recorded when it was made. */
async function askFacts(pool: ConnectionSource): Promise<{ facts: Facts; isOwnBackend: boolean }> {
  const client = await pool.connect();
  let failure: Error | undefined;
  try {
    const { rows } = await client.query<Facts>(factsSql);
    const facts = rows[0] as Facts;
    return { facts, isOwnBackend: facts.backend === backendOf(client) };
  } catch (error) {
    failure = error as Error;
    throw error;
  } finally {
    client.release(failure);
  }
}

interface Facts {
  role: string;
  backend: number;
  isStandby: boolean;
  weakSettings: string | null;
  roleLost: boolean;
  missing: string | null;
  bare: string | null;
}

/** Tables that are needed to store a chunk. */
const needed = '{organizations,api_keys,streams,processed_data_entries,channels,chunks,chunk_revisions}';

/** Since PostgreSQL 16, a member of a role may be unable to take it. */
const factsSql = `
  select current_user as role, pg_backend_pid() as backend, pg_is_in_recovery() as "isStandby",
    (select string_agg(name, ', ' order by name) from pg_settings
     where name in ('synchronous_commit', 'fsync', 'full_page_writes') and setting = 'off') as "weakSettings",
    (select count(*) from pg_roles
     where rolname in ('${apiRole}', '${serviceRole}')
       and pg_has_role(session_user, oid,
                       case when current_setting('server_version_num')::integer >= 160000 then 'SET' else 'MEMBER' end)
    ) < 2 as "roleLost",
    (select string_agg(name, ', ' order by name) from unnest('${needed}'::text[]) as name
     where to_regclass(name) is null
       or not has_table_privilege(to_regclass(name), 'select') or not has_table_privilege(to_regclass(name), 'insert')
       or not has_table_privilege(to_regclass(name), 'update')) as missing,
    (select min(relname) from pg_class c
     where relnamespace = to_regnamespace(quote_ident(current_schema())) and relrowsecurity
       and not exists (select from pg_policy where polrelid = c.oid)) as bare`;

/** What an error of a connection or a look says about the server's readiness. */
export function problemOf(error: unknown): Problem {
  // PostgreSQL refuses a connection whose options name a role that does not exist or may not be taken.
  if (hasSqlstate(error, sqlstates.invalidParameterValue, sqlstates.insufficientPrivilege)) {
    return { sentence: rolesLost, passes: false };
  }
  if (hasSqlstate(error, sqlstates.invalidCatalogName)) {
    return { sentence: 'The database is not there any more.', passes: true };
  }
  return { sentence: 'The database cannot be reached; the log of the server says why.', passes: true };
}
