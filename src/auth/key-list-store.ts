/** Lists of keys for people. They never contain a key or its hash. */
import type { ConnectionSource } from '../database/access.ts';
import type { Database } from '../database/database.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';
import type { keyStates, Scope } from './identity.ts';

export interface KeyRow {
  key_id: number;
  key_hint: string;
  user_id: string;
  user_name: string;
  scopes: Scope[];
  state: (typeof keyStates)[number];
  created_at: string;
  expires_at: string | null;
  /** When it was last used, to the minute. */
  last_used_at: string | null;
  revoked_at: string | null;
  replaces_key_id: number | null;
  /** Its successor, unless the successor was revoked. */
  replaced_by_key_id: number | null;
}

export type NamedKeyRow = KeyRow & { organization_name: string };

/** A key passes when it matches all fields that are given. */
export interface KeyFilter {
  organizationId?: string | undefined;
  userId?: string | undefined;
  keyId?: number | undefined;
  state?: KeyRow['state'] | undefined;
}

/**
 * A page of the keys of all organizations that pass a filter, by ascending id: at most `countMax` of those behind
 * `after`.
 */
export function nextKeys(
  database: Database,
  filter: KeyFilter,
  after: Pick<KeyRow, 'key_id'> | undefined,
  countMax: number,
): Promise<NamedKeyRow[]> {
  const { pool } = database.everyOrganization.upkeep;
  const name =
    '(select name from organizations own where own.organization_id = key.organization_id) as organization_name';
  return findKeys<NamedKeyRow>(pool, `${columns}, ${name}`, filter, [after?.key_id ?? 0, countMax]);
}

/** A page of the keys of one organization, like `nextKeys` but without the organization's name. */
export function nextOwnKeys(
  { organizationId, pool }: OrganizationDatabase,
  filter: Omit<KeyFilter, 'organizationId'>,
  after: Pick<KeyRow, 'key_id'> | undefined,
  countMax: number,
): Promise<KeyRow[]> {
  return findKeys(pool, columns, { ...filter, organizationId }, [after?.key_id ?? 0, countMax]);
}

/** SQL for the state of a row of `api_keys` under the alias `key`. */
const state = `case when key.revoked_at is not null then 'revoked' when key.expires_at <= now() then 'expired' else 'open' end`;

const columns = `
  key.key_id, key.key_hint, key.user_id, users.name as user_name, key.scopes, ${state} as state,
  key.created_at, key.expires_at, key.last_used_at, key.revoked_at, key.replaces_key_id,
  (select next.key_id from api_keys next where next.replaces_key_id = key.key_id and next.revoked_at is null) as replaced_by_key_id`;

async function findKeys<Row extends KeyRow>(
  pool: Pick<ConnectionSource, 'query'>,
  shown: string,
  { organizationId, userId, keyId, state: wanted }: KeyFilter,
  place: [after: number, countMax: number],
): Promise<Row[]> {
  const { rows } = await pool.query<Row>(
    `select ${shown} from api_keys key
     join users on users.user_id = key.user_id and users.organization_id = key.organization_id
     where ($1::uuid is null or key.organization_id = $1::uuid) and ($2::uuid is null or key.user_id = $2::uuid)
       and ($3::bigint is null or key.key_id = $3::bigint) and ($4::text is null or ${state} = $4::text)
       and key.key_id > $5::bigint
     order by key.key_id limit $6::integer`,
    [organizationId, userId, keyId, wanted, ...place],
  );
  return rows;
}
