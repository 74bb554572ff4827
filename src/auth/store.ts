import { sql } from 'kysely';
import type { Database } from '../database/database.ts';
import { apiKeyHint, hashApiKey } from './api-key.ts';

export const scopes = ['read', 'write', 'delete', 'admin'] as const;
export type Scope = (typeof scopes)[number];

/** Who asks: every request under a key has one. */
export interface Identity {
  organizationId: string;
  userId: string;
  keyId: number;
  scopes: Scope[];
}

/** The identity behind a key, or undefined for one that is unknown, revoked or expired. */
export async function findIdentity(database: Database, key: string): Promise<Identity | undefined> {
  // On the connections of ingest: a chunk must not wait for its key behind slow reads.
  const { rows } = await database.ingestPool.query<Identity>({
    name: 'find_identity',
    text: `select organization_id as "organizationId", user_id as "userId", key_id as "keyId", scopes
           from api_keys
           where key_hash = $1::bytea and revoked_at is null and (expires_at is null or expires_at > now())`,
    values: [hashApiKey(key)],
  });
  return rows[0];
}

/** A person of an organization; both are made when they are not there yet. Names are matched without regard to case. */
export async function ensureUser(database: Database, organization: string, user: string) {
  const { kysely } = database;
  await sql`insert into organizations (name) values (${organization}::text) on conflict do nothing`.execute(kysely);
  await sql`insert into users (organization_id, name)
            select organization_id, ${user}::text from organizations where lower(name) = lower(${organization}::text)
            on conflict do nothing`.execute(kysely);
  return kysely
    .selectFrom('users')
    .innerJoin('organizations', 'organizations.organization_id', 'users.organization_id')
    .select(['users.organization_id', 'users.user_id'])
    .where(sql<boolean>`lower(organizations.name) = lower(${organization}::text)`)
    .where(sql<boolean>`lower(users.name) = lower(${user}::text)`)
    .executeTakeFirstOrThrow();
}

/**
 * Stores a key for a user, by its hash only.
 * @returns its id, or undefined when this very key is stored already, for whomever.
 */
export async function insertKey(
  database: Database,
  owner: { organization_id: string; user_id: string },
  key: string,
): Promise<number | undefined> {
  const row = await database.kysely
    .insertInto('api_keys')
    .values({ ...owner, key_hash: hashApiKey(key), key_hint: apiKeyHint(key) })
    .onConflict((conflict) => conflict.column('key_hash').doNothing())
    .returning('key_id')
    .executeTakeFirst();
  return row?.key_id;
}

/** Every key with whose it is and whether it still opens; never the key itself. */
export function listKeys(database: Database) {
  return database.kysely
    .selectFrom('api_keys')
    .innerJoin('organizations', 'organizations.organization_id', 'api_keys.organization_id')
    .innerJoin('users', 'users.user_id', 'api_keys.user_id')
    .select([
      'api_keys.key_id',
      'api_keys.key_hint',
      'organizations.name as organization',
      'users.name as user',
      'api_keys.scopes',
      'api_keys.created_at',
      'api_keys.revoked_at',
    ])
    .orderBy('api_keys.key_id')
    .execute();
}

/** Revokes a key at once. @returns false when no key that still opens has that id. */
export async function revokeKey(database: Database, keyId: number): Promise<boolean> {
  const result = await database.kysely
    .updateTable('api_keys')
    .set({ revoked_at: sql`now()` })
    .where('key_id', '=', keyId)
    .where('revoked_at', 'is', null)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** Whether an organization has any key that still opens. */
export async function hasUsableKey(database: Database, organizationId: string): Promise<boolean> {
  const row = await database.kysely
    .selectFrom('api_keys')
    .select('key_id')
    .where('organization_id', '=', organizationId)
    .where('revoked_at', 'is', null)
    .where(sql<boolean>`(expires_at is null or expires_at > now())`)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}
