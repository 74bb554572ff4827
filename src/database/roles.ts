/**
 * The roles of PostgreSQL under which the server works. They own nothing and cannot log in; a connection takes one of
 * them. Migration 0007 says what they may do. All databases of one PostgreSQL share its roles.
 */
import pg from 'pg';
import { loginName, readAddress } from '../lib/postgres-address.ts';
import type { Access } from './access.ts';
import { scramSecret } from './scram.ts';
import { hasSqlstate, sqlstates } from './sqlstates.ts';

/** Reads and edits what the API shows, of the one organization that `organizationSetting` names. */
export const apiRole = 'metrology_api';
/** Stores chunks, looks keys up and does upkeep, for every organization. */
export const serviceRole = 'metrology_service';
/** The setting of a connection under `apiRole` that holds the id of an organization. */
export const organizationSetting = 'metrology.organization_id';

/**
 * Creates the roles, and makes the role that runs the migrations a member of them. Several servers, of several
 * databases too, may do so at once.
 * @throws Error with the statements that an administrator has to run, when this role may not create roles
 */
export async function makeRoles(owner: Access): Promise<void> {
  const { rows } = await owner.pool.query<{ name: string; isSuperuser: boolean }>(
    'select rolname as name, rolsuper as "isSuperuser" from pg_roles where rolname = current_user',
  );
  const { name, isSuperuser } = rows[0] as { name: string; isSuperuser: boolean };
  for (const role of [apiRole, serviceRole]) {
    if (!(await exists(owner, role))) await change(owner, `create role ${role} nologin`, name);
  }
  // A superuser may take any role, and no policy applies to it. Any other owner must see what the service sees, since
  // the views of docs/sql.md read as the owner.
  if (!isSuperuser) await admit(owner, name, { inherits: true });
}

/**
 * Creates the role with which the server logs in, unless it exists, with the password of its address, and lets it take
 * the roles above. It has their rights only while it has taken one.
 * @param options.ownsPassword the password is set to that of the address, whatever it was before
 * @throws Error with the statements that an administrator has to run, when the owner may not create roles
 */
export async function makeLogin(owner: Access, url: string, options: { ownsPassword: boolean }): Promise<void> {
  const address = readAddress(url);
  const name = loginName(address);
  const role = pg.escapeIdentifier(name);
  const secret = address.password ? `password ${pg.escapeLiteral(scramSecret(address.password))}` : '';
  if (!(await exists(owner, name))) await change(owner, `create role ${role} login noinherit ${secret}`, name);
  else if (options.ownsPassword) await change(owner, `alter role ${role} ${secret}`, name);
  await admit(owner, name, { inherits: false });
}

/**
 * Lets the role that reads see which timeline a replica follows, where the owner may allow that. Where it may not, the
 * server says what an administrator has to run, and reads from the primary until then.
 */
export async function letSeeTimeline(owner: Access): Promise<void> {
  const { rows } = await owner.pool.query<{ sees: boolean }>(
    `select pg_has_role('${apiRole}', 'pg_read_all_stats', 'usage') as sees`,
  );
  if (rows[0]?.sees) return;
  await owner.pool.query(`grant pg_read_all_stats to ${apiRole}`).catch((error) => {
    // "tuple concurrently updated": another server does the same.
    if (!hasSqlstate(error, sqlstates.insufficientPrivilege, sqlstates.internalError)) throw error;
  });
}

async function exists(owner: Access, role: string): Promise<boolean> {
  const { rowCount } = await owner.pool.query('select from pg_roles where rolname = $1::text', [role]);
  return rowCount !== 0;
}

/**
 * Makes a role a member of both, unless it is. In PostgreSQL 15 a membership cannot say whether it inherits rights:
 * there the role itself decides.
 * @param options.inherits it always has the rights of the service, not only while it has taken that role
 */
async function admit(owner: Access, name: string, { inherits }: { inherits: boolean }): Promise<void> {
  const { rows } = await owner.pool.query<{ hasOptions: boolean; isMember: boolean }>(
    `select "hasOptions", bool_and(pg_has_role($1::name, role, case when "hasOptions" then 'SET' else 'MEMBER' end))
                  and (not $2::boolean or pg_has_role($1::name, '${serviceRole}', 'USAGE')) as "isMember"
     from unnest('{${apiRole},${serviceRole}}'::name[]) as roles (role),
          (select current_setting('server_version_num')::integer >= 160000 as "hasOptions") as version
     group by "hasOptions"`,
    [name, inherits],
  );
  const { hasOptions, isMember } = rows[0] as { hasOptions: boolean; isMember: boolean };
  if (isMember) return;
  const role = pg.escapeIdentifier(name);
  const rights = (inherited: boolean) => (hasOptions ? `with inherit ${inherited}, set true` : '');
  await change(owner, `grant ${apiRole} to ${role} ${rights(false)}`, name);
  await change(owner, `grant ${serviceRole} to ${role} ${rights(inherits)}`, name);
}

/** Runs a statement on roles. Another server may run the same at the same time. */
async function change(owner: Access, statement: string, name: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await owner.pool.query(statement);
      return;
    } catch (error) {
      if (hasSqlstate(error, sqlstates.duplicateObject, sqlstates.uniqueViolation)) return;
      // "tuple concurrently updated": PostgreSQL does not wait for another change of the same role.
      if (!hasSqlstate(error, sqlstates.internalError) || attempt === attemptsMax) throw explainRoles(error, name);
    }
  }
}

/**
 * Returns the error itself, unless it says that a role is missing or may not be created or taken: then an error that
 * says what to do.
 */
export function explainRoles(error: unknown, name: string): unknown {
  // invalid_parameter_value: an option of the connection names a role that is not there.
  if (!hasSqlstate(error, sqlstates.insufficientPrivilege, sqlstates.invalidParameterValue)) return error;
  const role = pg.escapeIdentifier(name);
  return new Error(
    `PostgreSQL does not let this server make or take the roles that it works under (docs/operations.md#roles). ` +
      'Let an administrator of that PostgreSQL run, leaving out what is there: ' +
      `create role ${apiRole}; create role ${serviceRole}; create role ${role} login noinherit password '…'; ` +
      `grant ${apiRole}, ${serviceRole} to ${role};`,
  );
}

const attemptsMax = 20;
