/** What is shown of keys, which is never the key itself, nor its hash. */
import type { Connections } from '../database/access.ts';
import type { Database } from '../database/database.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';
import type { Scope } from './identity.ts';

export const keyStates = ['open', 'expired', 'revoked'] as const;

export interface KeyRow {
  key_id: number;
  key_hint: string;
  organization_name: string;
  user_id: string;
  user_name: string;
  scopes: Scope[];
  state: (typeof keyStates)[number];
  created_at: string;
  expires_at: string | null;
  /** When it last opened, to the minute. */
  last_used_at: string | null;
  revoked_at: string | null;
  replaces_key_id: number | null;
  /** Its successor, unless that was revoked. */
  replaced_by_key_id: number | null;
}

/** Keys pass that have all of what is given. */
export interface KeyFilter {
  organizationId?: string | undefined;
  userId?: string | undefined;
  keyId?: number | undefined;
  state?: KeyRow['state'] | undefined;
}

/** Of a row of `api_keys` that is called key. */
const state = `case when key.revoked_at is not null then 'revoked' when key.expires_at <= now() then 'expired' else 'open' end`;

/** The next keys of all organizations that pass a filter, in the order of their numbers, at most so many. */
export function nextKeys(
  database: Database,
  filter: KeyFilter,
  after: Pick<KeyRow, 'key_id'> | undefined,
  countMax: number,
): Promise<KeyRow[]> {
  return findKeys(database.everyOrganization.upkeep.pool, filter, after, countMax);
}

/** The same of one organization. */
export function nextOwnKeys(
  { organizationId, pool }: OrganizationDatabase,
  filter: Omit<KeyFilter, 'organizationId'>,
  after: Pick<KeyRow, 'key_id'> | undefined,
  countMax: number,
): Promise<KeyRow[]> {
  return findKeys(pool, { ...filter, organizationId }, after, countMax);
}

async function findKeys(
  pool: Pick<Connections, 'query'>,
  { organizationId, userId, keyId, state: wanted }: KeyFilter,
  after: Pick<KeyRow, 'key_id'> | undefined,
  countMax: number,
): Promise<KeyRow[]> {
  const { rows } = await pool.query<KeyRow>(
    `select key.key_id, key.key_hint, organizations.name as organization_name, key.user_id, users.name as user_name, key.scopes,
            ${state} as state, key.created_at, key.expires_at, key.last_used_at, key.revoked_at, key.replaces_key_id,
            (select next.key_id from api_keys next where next.replaces_key_id = key.key_id and next.revoked_at is null)
              as replaced_by_key_id
     from api_keys key
     join organizations on organizations.organization_id = key.organization_id
     join users on users.user_id = key.user_id and users.organization_id = key.organization_id
     where ($1::uuid is null or key.organization_id = $1::uuid) and ($2::uuid is null or key.user_id = $2::uuid)
       and ($3::bigint is null or key.key_id = $3::bigint) and ($4::text is null or ${state} = $4::text)
       and key.key_id > $5::bigint
     order by key.key_id limit $6::integer`,
    [organizationId, userId, keyId, wanted, after?.key_id ?? 0, countMax],
  );
  return rows;
}
