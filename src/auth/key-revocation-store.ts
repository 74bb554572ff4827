import type pg from 'pg';
import type { Database } from '../database/database.ts';
import { inTransaction } from '../database/transactions.ts';

/** Whose keys: of an organization, or of one of its users. */
export interface KeysOf {
  organizationId: string;
  userId?: string | undefined;
}

/**
 * Revokes all keys of a user, or of an organization, that still open.
 * @returns their numbers, the lowest first
 */
export function revokeKeysOf(database: Database, keysOf: KeysOf): Promise<number[]> {
  return inTransaction(database.everyOrganization.upkeep.pool, (client) => revokeAll(client, keysOf));
}

async function revokeAll(client: pg.PoolClient, { organizationId, userId }: KeysOf): Promise<number[]> {
  const revoked: number[] = [];
  // Whoever was replacing a key when the first statement began is waited for, and the successor is seen by the next one only.
  for (;;) {
    const { rows } = await client.query<{ key_id: number }>(
      `update api_keys set revoked_at = now()
       where organization_id = $1::uuid and ($2::uuid is null or user_id = $2::uuid)
         and revoked_at is null and (expires_at is null or expires_at > now())
       returning key_id`,
      [organizationId, userId],
    );
    if (rows.length === 0) return revoked.sort((one, other) => one - other);
    revoked.push(...rows.map((row) => row.key_id));
  }
}
