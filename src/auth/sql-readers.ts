/**
 * Roles of PostgreSQL that can read the runs and points of one organization in SQL, and nothing else. The views and
 * functions that they use are made by migrations 0004 and 0017. The table sql_readers says which organization a role
 * sees.
 */
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { type Actor, actorParameter, auditEntries, theServer } from '../database/audit.ts';
import type { OwnerDatabase } from '../database/database.ts';
import { isDistributed } from '../database/distribution.ts';
import { findFolding } from '../database/folding.ts';
import { scramSecret } from '../database/scram.ts';
import { hasSqlstate, sqlstates } from '../database/sqlstates.ts';
import { inTransaction } from '../database/transactions.ts';
import { type Address, hostsOf, readAddress, urlOf } from '../lib/postgres-address.ts';

/** A new reader and its address. The address contains the password, so whoever has it can read. */
export interface SqlReader {
  role: string;
  /** `postgresql://ROLE:PASSWORD@HOST:PORT/DATABASE` */
  url: string;
}

/**
 * Makes a login role for a reader. Its name does not mention the organization, since every role can list all others.
 * @param connectionString the address by which this server connects; the reader's has the same host, port and database
 * @throws Error with a sentence when there is no such organization, or when this server's own role may not make roles
 */
export async function createSqlReader(
  database: OwnerDatabase,
  connectionString: string,
  organization: string,
  actor: Actor = theServer,
): Promise<SqlReader> {
  const role = `metrology_reader_${randomBytes(5).toString('hex')}`;
  const password = randomBytes(24).toString('base64url');
  const schema = await inTransaction(database.pool, async (client) => {
    await refuseInCluster(client);
    const organizationId = await findOrganization(client, organization);
    await createRole(client, role, password, organization);
    await admit(client, role, organizationId, actor);
    const { rows } = await client.query<{ schema: string }>('select current_schema() as schema');
    return rows[0]?.schema as string;
  });
  return { role, url: readerUrl(connectionString, { user: role, password, schema }) };
}

const ofTheServer = ['options', 'application_name', 'passfile', 'sslcert', 'sslkey', 'sslpassword'];

/**
 * The reader's address, in a form that psql accepts: it has no sslmode `no-verify`. The server's own certificate is
 * left out.
 */
function readerUrl(
  connectionString: string,
  { user, password, schema }: { user: string; password: string; schema: string },
): string {
  const given = Object.entries(readAddress(connectionString));
  const place: Address = Object.fromEntries(given.filter(([name]) => !ofTheServer.includes(name)));
  return urlOf({
    ...place,
    user,
    password,
    // An address without a host means the local sockets, and the reader may be on another machine, so the host is named.
    ...(place.host === undefined && place.hostaddr === undefined && { host: hostsOf(place)[0]?.host as string }),
    ...(place.sslmode === 'no-verify' && { sslmode: 'require' }),
    ...(schema !== 'public' && { options: `-csearch_path=${schema}` }),
  });
}

/**
 * Makes an existing role a reader. For a server whose role may not make roles.
 * @throws Error with a sentence when there is no such organization or role, or the role reads already
 */
export function admitSqlReader(
  database: OwnerDatabase,
  role: string,
  organization: string,
  actor: Actor = theServer,
): Promise<void> {
  return inTransaction(database.pool, async (client) => {
    await refuseInCluster(client);
    const organizationId = await findOrganization(client, organization);
    const { rowCount } = await client.query('select from pg_roles where rolname = $1::text', [role]);
    if (rowCount === 0) throw new Error(`There is no role "${role}" in PostgreSQL.`);
    await admit(client, role, organizationId, actor);
  });
}

/**
 * Grants the rights of a reader to all readers whose roles exist in this PostgreSQL. For use after a restore, since a
 * backup contains neither roles nor rights.
 * @returns the names of the readers whose roles do not exist
 */
export function readmitSqlReaders(database: OwnerDatabase): Promise<string[]> {
  return inTransaction(database.pool, async (client) => {
    const { rows } = await client.query<{ role: string; isThere: boolean }>(
      `select role_name as role, exists (select from pg_roles where rolname = role_name) as "isThere"
       from sql_readers order by 1`,
    );
    for (const { role } of rows.filter(({ isThere }) => isThere)) await grantAll(client, role);
    return rows.filter(({ isThere }) => !isThere).map(({ role }) => role);
  });
}

/** A line of the operator's list; `created_at` is ISO 8601. */
export interface SqlReaderRow {
  role_name: string;
  organization: string;
  created_at: string;
}

export async function listSqlReaders(database: OwnerDatabase): Promise<SqlReaderRow[]> {
  const { rows } = await database.pool.query<SqlReaderRow>(
    `select r.role_name, o.name as organization, r.created_at
     from sql_readers r join organizations o on o.organization_id = r.organization_id
     order by r.created_at`,
  );
  return rows;
}

/**
 * Revokes all rights of a reader, with immediate effect on its open sessions too. Drops its role where this server may.
 * @returns whether the role was dropped, or did not exist
 * @throws Error with a sentence when there is no such reader
 */
export async function dropSqlReader(database: OwnerDatabase, role: string, actor: Actor = theServer): Promise<boolean> {
  await inTransaction(database.pool, async (client) => {
    const { rowCount } = await client.query(
      `with reader as (delete from sql_readers where role_name = $1::text returning *)
       ${auditEntries('sql_reader.drop', ofReader, '$2')}`,
      [role, actorParameter(actor)],
    );
    if (rowCount === 0) throw new Error(`There is no SQL reader "${role}".`);
    const { rowCount: roles } = await client.query('select from pg_roles where rolname = $1::text', [role]);
    if (roles === 0) return;
    for (const [grant, object] of await grants(client)) {
      await client.query(`revoke ${grant} on ${object} from ${pg.escapeIdentifier(role)}`);
    }
  });
  try {
    // `if exists`: after a restore into another PostgreSQL the role does not exist.
    await database.pool.query(`drop role if exists ${pg.escapeIdentifier(role)}`);
    return true;
  } catch (error) {
    if (hasSqlstate(error, sqlstates.insufficientPrivilege, sqlstates.dependentObjectsStillExist)) return false;
    throw error;
  }
}

/** @throws Error with a sentence: a cluster has none of the views that readers use */
async function refuseInCluster(client: pg.PoolClient): Promise<void> {
  if (await isDistributed(client))
    throw new Error('This database is distributed over a cluster, which serves no SQL readers (docs/scale.md#sql).');
}

async function findOrganization(client: pg.PoolClient, name: string): Promise<string> {
  const fold = await findFolding(client);
  const { rows } = await client.query<{ organization_id: string }>(
    `select organization_id from organizations where ${fold('name')} = ${fold('$1::text')}
     order by name = $1::text desc, lower(name) = lower($1::text) desc, created_at limit 1`,
    [name],
  );
  if (rows[0] === undefined) throw new Error(`There is no organization "${name}".`);
  return rows[0].organization_id;
}

async function createRole(client: pg.PoolClient, role: string, password: string, organization: string): Promise<void> {
  const secret = pg.escapeLiteral(scramSecret(password));
  try {
    await client.query(`create role ${role} login connection limit 10 password ${secret}`);
    // Both only prevent mistakes, as a reader can change them. It has no right to write in any case.
    await client.query(`alter role ${role} set default_transaction_read_only = on`);
    await client.query(`alter role ${role} set statement_timeout = '60s'`);
  } catch (error) {
    if (!hasSqlstate(error, sqlstates.insufficientPrivilege)) throw error;
    throw new Error(
      `The role of this server may not make roles in PostgreSQL (CREATEROLE). Let somebody who may make one, ` +
        `create role NAME login password '…', and name it here: ` +
        `metrology-server sql-readers create --organization "${organization}" --role NAME`,
    );
  }
}

/** SQL for the audit entry of a reader. */
const ofReader = {
  from: 'reader',
  organizationId: 'reader.organization_id',
  details: `jsonb_build_object('role_name', left(reader.role_name, 100))`,
};

async function admit(client: pg.PoolClient, role: string, organizationId: string, actor: Actor): Promise<void> {
  const { rowCount } = await client.query(
    `with reader as (
       insert into sql_readers (role_name, organization_id) values ($1::text, $2::uuid) on conflict do nothing returning *
     ) ${auditEntries('sql_reader.create', ofReader, '$3')}`,
    [role, organizationId, actorParameter(actor)],
  );
  if (rowCount === 0) throw new Error(`The role "${role}" is a reader already; drop it first.`);
  await grantAll(client, role);
}

async function grantAll(client: pg.PoolClient, role: string): Promise<void> {
  for (const [grant, object] of await grants(client)) {
    await client.query(`grant ${grant} on ${object} to ${pg.escapeIdentifier(role)}`);
  }
}

/** The rights of a reader, each with its object. */
async function grants(client: pg.PoolClient): Promise<[string, string][]> {
  const { rows } = await client.query<{ database: string; schema: string }>(
    'select quote_ident(current_database()) as database, quote_ident(current_schema()) as schema',
  );
  const { database, schema } = rows[0] as { database: string; schema: string };
  const places: [string, string][] = [
    ['connect', `database ${database}`],
    ['usage', `schema ${schema}`],
  ];
  // A cluster has no views. A reader that was restored into one can still be dropped.
  if (await isDistributed(client)) return places;
  return [
    ...places,
    ['select', `${schema}.points, ${schema}.point_channels, ${schema}.runs`],
    ['execute', `function ${schema}.points_between, ${schema}.point_time`],
  ];
}
