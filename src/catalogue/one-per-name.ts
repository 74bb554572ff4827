/** Guarantees: an organization never gets a second sample, project or tag whose name folds to an existing name. */
import type pg from 'pg';
import type { ConnectionSource } from '../database/access.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';
import { inTransaction } from '../database/transactions.ts';

/** The tables with such names, each with its key. */
const keys = { physical_samples: 'physical_sample_id', projects: 'project_id', tags: 'tag_id' } as const;
export type NamedTable = keyof typeof keys;

/**
 * The id of the row with a name. Earlier releases considered more names different, so several rows may fold to the same
 * name: then the exact spelling comes first, then a name that differs only in case, then the oldest.
 */
export async function findIdByName(
  { organizationId, folding, pool }: OrganizationDatabase,
  table: NamedTable,
  name: string,
  connection: Pick<ConnectionSource, 'query'> = pool,
): Promise<string | undefined> {
  const fold = await folding();
  const key = keys[table];
  const { rows } = await connection.query<{ id: string }>(
    `select ${key} as id from ${table}
     where organization_id = $1::uuid
       and (${fold('name')} = ${fold('$2::text')} or lower(btrim(name)) = lower(btrim($2::text)))
     order by name = $2::text desc, lower(btrim(name)) = lower(btrim($2::text)) desc, created_at, ${key} limit 1`,
    [organizationId, name],
  );
  return rows[0]?.id;
}

/**
 * Finds the row with a name, or creates it. Others who look for the same name meanwhile wait for it.
 * @param insert creates the row in the transaction of `client`; returns undefined if a unique index shows that it exists
 * already
 */
export async function findOrMake(
  organization: OrganizationDatabase,
  table: NamedTable,
  name: string,
  insert: (client: pg.PoolClient) => Promise<string | undefined>,
): Promise<{ id: string; isNew: boolean }> {
  const found = await findIdByName(organization, table, name);
  if (found !== undefined) return { id: found, isNew: false };
  return inTransaction(organization.pool, async (client) => {
    await lockName(organization, table, name, client);
    const earlier = await findIdByName(organization, table, name, client);
    if (earlier !== undefined) return { id: earlier, isNew: false };
    const made = await insert(client);
    if (made !== undefined) return { id: made, isNew: true };
    // A server of an earlier release, which does not take the lock, has created the row in between.
    const id = await findIdByName(organization, table, name, client);
    if (id === undefined) throw new Error(`a unique index of ${table} refused a new row, and no row has its name`);
    return { id, isNew: false };
  });
}

/** Whether a row cannot get a name because another row has it. A row can always get a name that folds to its own. */
export async function isNameTaken(
  organization: OrganizationDatabase,
  table: NamedTable,
  { id, name }: { id: string; name: string },
  client: pg.PoolClient,
): Promise<boolean> {
  await lockName(organization, table, name, client);
  const fold = await organization.folding();
  const key = keys[table];
  const { rows } = await client.query<{ is_taken: boolean }>(
    `select exists (
       select from ${table} as own join ${table} as other using (organization_id)
       where own.organization_id = $1::uuid and own.${key} = $2::uuid and other.${key} <> own.${key}
         and ${fold('own.name')} <> ${fold('$3::text')} and ${fold('other.name')} = ${fold('$3::text')}
     ) as is_taken`,
    [organization.organizationId, id, name],
  );
  return rows[0]?.is_taken === true;
}

/** Locks a name until the end of the transaction: nobody else can create or take a name that folds to it. */
async function lockName(
  { organizationId, folding }: OrganizationDatabase,
  table: NamedTable,
  name: string,
  client: pg.PoolClient,
): Promise<void> {
  const fold = await folding();
  await client.query(
    `select pg_advisory_xact_lock(hashtextextended(concat($1::text, ' ${table} ', ${fold('$2::text')}), 0))`,
    [organizationId, name],
  );
}
