import type pg from 'pg';
import { type Actor, actorParameter, auditEntries } from '../database/audit.ts';
import type { Database } from '../database/database.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';
import { inTransaction } from '../database/transactions.ts';

/** Which keys: all of an organization, those of one of its users, or one. */
export interface KeysOf {
  organizationId: string;
  userId?: string | undefined;
  keyId?: number | undefined;
}

/**
 * Revokes all keys of a user, or of an organization, that still open.
 * @returns their numbers, the lowest first
 */
export function revokeKeysOf(database: Database, keysOf: KeysOf, actor: Actor): Promise<number[]> {
  return inTransaction(database.everyOrganization.upkeep.pool, (client) => revokeAll(client, keysOf, actor));
}

/**
 * The same of the organization that asks, unless no key with the scope admin would open then: of several who revoke at once, one is last.
 * @returns undefined, and revokes none, in that case
 */
export async function revokeOwnKeys(
  { organizationId, pool, actor }: OrganizationDatabase,
  keysOf: Omit<KeysOf, 'organizationId'>,
): Promise<number[] | undefined> {
  return inTransaction(pool, async (client) => {
    await client.query(`select pg_advisory_xact_lock(hashtextextended(concat($1::text, ' last key'), 0))`, [
      organizationId,
    ]);
    const revoked = await revokeAll(client, { ...keysOf, organizationId }, actor);
    const { rowCount } = await client.query(
      `select from api_keys where organization_id = $1::uuid and 'admin' = any(scopes) and ${opens} limit 1`,
      [organizationId],
    );
    if (rowCount === 0 && revoked.length > 0) throw new LastKey();
    return revoked;
  }).catch((error) => {
    if (error instanceof LastKey) return undefined;
    throw error;
  });
}

/** Rolls the revocation back. */
class LastKey extends Error {}

const opens = 'revoked_at is null and (expires_at is null or expires_at > now())';

const ofRevoked = {
  from: 'revoked join users whose on whose.user_id = revoked.user_id and whose.organization_id = revoked.organization_id',
  organizationId: 'revoked.organization_id',
  ofKeyId: 'revoked.key_id',
  details: `jsonb_build_object('key_hint', left(revoked.key_hint, 100), 'user_name', whose.name, 'scopes', revoked.scopes,
                               'expires_at', revoked.expires_at, 'replaces_key_id', revoked.replaces_key_id)`,
};

async function revokeAll(
  client: pg.PoolClient,
  { organizationId, userId, keyId }: KeysOf,
  actor: Actor,
): Promise<number[]> {
  const revoked: number[] = [];
  // Whoever was replacing a key when the first statement began is waited for, and the successor is seen by the next one only.
  for (;;) {
    const { rows } = await client.query<{ key_id: number }>(
      `with revoked as (
         update api_keys set revoked_at = now()
         where organization_id = $1::uuid and ($2::uuid is null or user_id = $2::uuid)
           and ($3::bigint is null or key_id = $3::bigint) and ${opens}
         returning key_id, organization_id, user_id, key_hint, scopes, expires_at, replaces_key_id
       ), audited as (${auditEntries('key.revoke', ofRevoked, '$4')})
       select key_id from revoked`,
      [organizationId, userId, keyId, actorParameter(actor)],
    );
    if (rows.length === 0) return revoked.sort((one, other) => one - other);
    revoked.push(...rows.map((row) => row.key_id));
  }
}

/** How many keys of an organization open, as far as `countMax`. */
export async function countOpenKeys({ organizationId, pool }: OrganizationDatabase, countMax: number): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    `select count(*) as count from (
       select from api_keys where organization_id = $1::uuid and ${opens} limit $2::integer) as open`,
    [organizationId, countMax],
  );
  return rows[0]?.count as number;
}
