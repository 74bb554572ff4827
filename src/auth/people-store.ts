/**
 * Organizations and their users. A user is a name to which keys and data belong; his rights are those of his keys.
 * Names are matched as everywhere (`database/folding.ts`). Older releases could store several names that now match;
 * then the one that is spelled exactly as given comes first.
 */
import type { Access, ConnectionSource } from '../database/access.ts';
import { type Actor, actorParameter, auditEntries, theServer } from '../database/audit.ts';
import type { Database } from '../database/database.ts';
import { type Fold, findFolding } from '../database/folding.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';
import { inTransaction } from '../database/transactions.ts';
import { isValidKey } from './valid-key.ts';

export interface OrganizationRow {
  organization_id: string;
  name: string;
  created_at: string;
  user_count: number;
  /** Keys that are valid now. */
  open_key_count: number;
}

export interface UserRow {
  user_id: string;
  name: string;
  created_at: string;
  open_key_count: number;
  /** When any key of the user was last used. */
  last_used_at: string | null;
}

/** The tables of named things, each with its key and its scope: user names are unique within one organization. */
const tables = {
  organizations: { key: 'organization_id', within: '$2::uuid is null' },
  users: { key: 'user_id', within: 'named.organization_id = $2::uuid' },
} as const;
type Table = keyof typeof tables;

interface Named {
  id: string;
  name: string;
}

interface Naming {
  name: string;
  /** The organization of a user; null for the name of an organization. */
  organizationId: string | null;
  actor: Actor;
}

/** What each table's things are called in the audit log. */
const audited = { organizations: 'organization', users: 'user' } as const;
/** SQL for the columns of an audit entry about a row. */
const auditColumns = (row: string) => ({
  organizationId: `${row}.organization_id`,
  details: `jsonb_build_object('name', left(${row}.name, 1000))`,
});

export function findOrganizationByName(database: Database, name: string): Promise<Named | undefined> {
  return findNamed(database.everyOrganization.upkeep.pool, 'organizations', name, null);
}

export function findUser(database: Database, organizationId: string, name: string): Promise<Named | undefined> {
  return findNamed(database.everyOrganization.upkeep.pool, 'users', name, organizationId);
}

/** Whether the organization has a user with this id. */
export async function findOwnUser({ organizationId, pool }: OrganizationDatabase, userId: string): Promise<boolean> {
  const { rowCount } = await pool.query('select from users where organization_id = $1::uuid and user_id = $2::uuid', [
    organizationId,
    userId,
  ]);
  return rowCount !== 0;
}

/** Finds a user of an organization by their names. Both are created when missing. */
export async function ensureUser(
  database: Database,
  organization: string,
  user: string,
  actor: Actor = theServer,
): Promise<{ organization_id: string; user_id: string }> {
  const { id: organization_id } = await addOrganization(database, organization, actor);
  const { id: user_id } = await addUser(database, organization_id, user, actor);
  return { organization_id, user_id };
}

/** Makes an organization, or finds the one of that name. Concurrent calls make it only once. */
export function addOrganization(
  database: Database,
  name: string,
  actor: Actor = theServer,
): Promise<Named & { is_new: boolean }> {
  return findOrAdd(database.everyOrganization.upkeep, 'organizations', { name, organizationId: null, actor });
}

/** Makes a user of an organization, or finds the one of that name. Concurrent calls make it only once. */
export function addUser(database: Database, organizationId: string, name: string, actor: Actor = theServer) {
  return findOrAdd(database.everyOrganization.upkeep, 'users', { name, organizationId, actor });
}

/** `addUser` for a request of the organization itself, within its row-level policy. */
export function addOwnUser(organization: OrganizationDatabase, name: string) {
  const { organizationId, actor } = organization;
  return findOrAdd(organization, 'users', { name, organizationId, actor });
}

/**
 * Gives an organization another name.
 * @returns undefined when no organization has the old name; `isTaken` when another one has the new name, and then nothing
 * changes
 */
export function renameOrganization(database: Database, name: string, newName: string, actor: Actor) {
  return rename(database, 'organizations', { name, newName, organizationId: null, actor });
}

/** Gives a user of an organization another name. @returns as `renameOrganization` */
export function renameUser(
  database: Database,
  organizationId: string,
  { name, newName }: { name: string; newName: string },
  actor: Actor,
) {
  return rename(database, 'users', { name, newName, organizationId, actor });
}

async function findNamed(
  client: Pick<ConnectionSource, 'query'>,
  table: Table,
  name: string,
  organizationId: string | null,
  given?: Fold,
): Promise<Named | undefined> {
  const fold = given ?? (await findFolding(client));
  const { key, within } = tables[table];
  const { rows } = await client.query<Named>(
    `select ${key} as id, name from ${table} named
     where ${within} and (${fold('named.name')} = ${fold('$1::text')} or lower(named.name) = lower($1::text))
     order by named.name = $1::text desc, lower(named.name) = lower($1::text) desc, created_at limit 1`,
    [name, organizationId],
  );
  return rows[0];
}

async function findOrAdd(
  { pool }: Pick<Access, 'pool'>,
  table: Table,
  { name, organizationId, actor }: Naming,
): Promise<Named & { is_new: boolean }> {
  const fold = await findFolding(pool);
  const found = await findNamed(pool, table, name, organizationId, fold);
  if (found !== undefined) return { ...found, is_new: false };
  return inTransaction(pool, async (client) => {
    await lockName(client, table, name, organizationId, fold);
    const earlier = await findNamed(client, table, name, organizationId, fold);
    if (earlier !== undefined) return { ...earlier, is_new: false };
    const { rows } = await client.query<Named>(
      `with made as (
         ${
           table === 'organizations'
             ? 'insert into organizations (name) select $1::text where $2::uuid is null'
             : 'insert into users (organization_id, name) values ($2::uuid, $1::text)'
         }
         on conflict do nothing returning organization_id, ${table === 'users' ? 'user_id, ' : ''}name
       ), audited as (${auditEntries(`${audited[table]}.create`, { from: 'made', ...auditColumns('made') }, '$3')})
       select ${tables[table].key} as id, name from made`,
      [name, organizationId, actorParameter(actor)],
    );
    if (rows[0] !== undefined) return { ...rows[0], is_new: true };
    // A server of an older release, which does not take the lock, was quicker.
    const theirs = await findNamed(client, table, name, organizationId, fold);
    if (theirs === undefined) throw new Error(`what stood in the way of a new row of ${table} is gone`);
    return { ...theirs, is_new: false };
  });
}

function rename(
  database: Database,
  table: Table,
  { name, newName, organizationId, actor }: Naming & { newName: string },
): Promise<(Named & { isTaken: boolean }) | undefined> {
  return inTransaction(database.everyOrganization.upkeep.pool, async (client) => {
    const fold = await findFolding(client);
    await lockName(client, table, newName, organizationId, fold);
    const found = await findNamed(client, table, name, organizationId, fold);
    if (found === undefined) return undefined;
    const other = await findNamed(client, table, newName, organizationId, fold);
    if (other !== undefined && other.id !== found.id) return { ...found, isTaken: true };
    const { key } = tables[table];
    const entry = {
      from: 'renamed',
      organizationId: 'renamed.organization_id',
      details: `jsonb_build_object('name', left(renamed.name, 1000), 'was', left($3::text, 1000))`,
    };
    await client.query(
      `with renamed as (
         update ${table} set name = $2::text where ${key} = $1::uuid returning organization_id, name
       ) ${auditEntries(`${audited[table]}.rename`, entry, '$4')}`,
      [found.id, newName, found.name, actorParameter(actor)],
    );
    return { id: found.id, name: newName, isTaken: false };
  });
}

/** Locks a name, and all that fold to the same, until the end of the transaction: nobody else can use it meanwhile. */
async function lockName(
  client: Pick<ConnectionSource, 'query'>,
  table: Table,
  name: string,
  organizationId: string | null,
  fold: Fold,
): Promise<void> {
  await client.query(
    `select pg_advisory_xact_lock(hashtextextended(concat($1::text, ' ${table} ', ${fold('$2::text')}), 0))`,
    [organizationId, name],
  );
}

/** A page of the organizations by name: at most `countMax` of those behind `after`. */
export async function nextOrganizations(
  database: Database,
  after: OrganizationRow | undefined,
  countMax: number,
): Promise<OrganizationRow[]> {
  const { rows } = await database.everyOrganization.upkeep.pool.query<OrganizationRow>(
    `with page as (
       select organization_id, name, created_at from organizations
       where $1::uuid is null or (name, organization_id) > ($2::text, $1::uuid)
       order by name, organization_id limit $3::integer
     ), people as (
       select organization_id, count(*) as count from users
       where organization_id in (select organization_id from page) group by organization_id
     ), keys as (
       select organization_id, count(*) as count from api_keys
       where organization_id in (select organization_id from page)
         and ${isValidKey()}
       group by organization_id
     )
     select page.*, coalesce(people.count, 0) as user_count, coalesce(keys.count, 0) as open_key_count
     from page left join people using (organization_id) left join keys using (organization_id)
     order by name, organization_id`,
    [after?.organization_id, after?.name, countMax],
  );
  return rows;
}

/** A page of the users of an organization by name: at most `countMax` of those behind `after`. */
export async function nextUsers(
  { organizationId, pool }: OrganizationDatabase,
  after: UserRow | undefined,
  countMax: number,
): Promise<UserRow[]> {
  const { rows } = await pool.query<UserRow>(
    `with page as (
       select user_id, name, created_at from users
       where organization_id = $1::uuid and ($2::uuid is null or (name, user_id) > ($3::text, $2::uuid))
       order by name, user_id limit $4::integer
     ), keys as (
       select user_id, max(last_used_at) as last_used_at,
              count(*) filter (where ${isValidKey()}) as count
       from api_keys where organization_id = $1::uuid and user_id in (select user_id from page) group by user_id
     )
     select page.*, coalesce(keys.count, 0) as open_key_count, keys.last_used_at
     from page left join keys using (user_id) order by name, user_id`,
    [organizationId, after?.user_id, after?.name, countMax],
  );
  return rows;
}
