import type pg from 'pg';
import { type Actor, actorParameter, auditEntries } from '../database/audit.ts';
import type { Database } from '../database/database.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';
import { inTransaction } from '../database/transactions.ts';
import { isValidKey } from './valid-key.ts';

/** Selects keys: all of an organization, those of one of its users, or a single one. */
export interface KeysOf {
  organizationId: string;
  userId?: string | undefined;
  keyId?: number | undefined;
}

/**
 * Revokes the selected keys that are still valid.
 * @returns the ids of the revoked keys, ascending
 */
export function revokeKeysOf(database: Database, keysOf: KeysOf, actor: Actor): Promise<number[]> {
  return inTransaction(database.everyOrganization.upkeep.pool, (client) => revokeAll(client, keysOf, actor));
}

/**
 * Revokes keys of the requesting organization, but never its last valid key with the scope admin. A lock makes concurrent
 * revocations wait for each other, so that together they cannot revoke the last one either.
 * @returns the ids of the revoked keys; undefined when no admin key would be left, and then none is revoked
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
      `select from api_keys where organization_id = $1::uuid and 'admin' = any(scopes) and ${isValidKey()} limit 1`,
      [organizationId],
    );
    if (rowCount === 0 && revoked.length > 0) throw new LastKey();
    return revoked;
  }).catch((error) => {
    if (error instanceof LastKey) return undefined;
    throw error;
  });
}

/** Thrown to roll the revocation back. */
class LastKey extends Error {}

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
  // Repeats until nothing is left: the update waits for a concurrent replacement of a key, but only the next statement,
  // with a new snapshot, sees the successor that was made.
  for (;;) {
    const { rows } = await client.query<{ key_id: number }>(
      `with revoked as (
         update api_keys set revoked_at = now()
         where organization_id = $1::uuid and ($2::uuid is null or user_id = $2::uuid)
           and ($3::bigint is null or key_id = $3::bigint) and ${isValidKey()}
         returning key_id, organization_id, user_id, key_hint, scopes, expires_at, replaces_key_id
       ), audited as (${auditEntries('key.revoke', ofRevoked, '$4')})
       select key_id from revoked`,
      [organizationId, userId, keyId, actorParameter(actor)],
    );
    if (rows.length === 0) return revoked.sort((one, other) => one - other);
    revoked.push(...rows.map((row) => row.key_id));
  }
}

/** Counts the valid keys of an organization, and stops at `countMax`. */
export async function countOpenKeys({ organizationId, pool }: OrganizationDatabase, countMax: number): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    `select count(*) as count from (
       select from api_keys where organization_id = $1::uuid and ${isValidKey()} limit $2::integer) as open`,
    [organizationId, countMax],
  );
  return rows[0]?.count as number;
}
