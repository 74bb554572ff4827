import { timingSafeEqual } from 'node:crypto';
import type { ConnectionSource } from '../database/access.ts';
import { type Actor, actorParameter, auditEntries, theServer } from '../database/audit.ts';
import type { Database } from '../database/database.ts';
import type { OrganizationDatabase } from '../database/organizations.ts';
import { apiKeyHint, hashApiKey, publicIdOf } from './api-key.ts';
import { type FoundKey, type Identity, type Scope, scopes } from './identity.ts';
import { type AuthLimits, authLimits } from './limits.ts';
import { isValidKey } from './valid-key.ts';

/**
 * Looks up all keys by one statement.
 * @returns the identities in the order of the keys; undefined for a key that is malformed, unknown, revoked or expired
 */
export async function findKeyOwners(
  database: Database,
  keys: readonly string[],
  { keyUseMsMin }: Pick<AuthLimits, 'keyUseMsMin'> = authLimits,
): Promise<(FoundKey | undefined)[]> {
  const publicIds = keys.map(publicIdOf);
  const wanted = publicIds.filter((id) => id !== undefined);
  if (wanted.length === 0) return publicIds as undefined[];
  const { rows } = await database.everyOrganization.keys.query<FoundKey & { keyHash: Buffer; publicId: string }>({
    name: 'find_keys',
    text: `select organization_id as "organizationId", user_id as "userId", key_id as "keyId", scopes,
                  key_hash as "keyHash", public_id as "publicId",
                  coalesce(last_used_at < now() - make_interval(secs => $2::float8), true) as "isUseStale"
           from api_keys
           where public_id = any($1::text[]) and ${isValidKey()}`,
    values: [wanted, keyUseMsMin / 1_000],
  });
  const rowOf = new Map(rows.map((row) => [row.publicId, row]));
  return keys.map((key, i) => {
    const row = rowOf.get(publicIds[i] ?? '');
    if (row === undefined || !timingSafeEqual(row.keyHash, hashApiKey(key))) return undefined;
    const { keyHash, publicId, ...found } = row;
    return found;
  });
}

/** The identity behind a key, or undefined for one that is malformed, unknown, revoked or expired. */
export async function findIdentity(database: Database, key: string): Promise<Identity | undefined> {
  const [found] = await findKeyOwners(database, [key]);
  if (found === undefined) return undefined;
  const { isUseStale, ...identity } = found;
  return identity;
}

/** Records the use of a key, unless any server has recorded one less than `keyUseMsMin` ago. */
export async function noteKeyUse(
  database: Database,
  organizationId: string,
  keyId: number,
  { keyUseMsMin }: Pick<AuthLimits, 'keyUseMsMin'>,
): Promise<void> {
  await database.everyOrganization.upkeep.pool.query(
    `update api_keys set last_used_at = now()
     where organization_id = $1::uuid and key_id = $2::bigint
       and (last_used_at is null or last_used_at < now() - make_interval(secs => $3::float8))`,
    [organizationId, keyId, keyUseMsMin / 1_000],
  );
}

/**
 * The handle under which keys are made: the operator's, or that of one organization, whose row-level policy then
 * applies.
 */
type Way = Database | OrganizationDatabase;

const poolOf = (way: Way): ConnectionSource =>
  'everyOrganization' in way ? way.everyOrganization.upkeep.pool : way.pool;

/** The organization to which a statement is restricted; null for the operator. */
const organizationOf = (way: Way) => ('organizationId' in way ? way.organizationId : null);

/** When a key expires: so many seconds after it is stored, or at a time in ISO 8601; never, when neither is given. */
export interface KeyEnd {
  inSeconds?: number | undefined;
  at?: string | undefined;
}

/**
 * Stores a key for a user; only its hash is stored.
 * @param audited.action `key.create` for a new key, `key.import` for one that somebody held already
 * @returns its id; undefined when the same key is stored already, for any user
 */
export async function insertKey(
  way: Way,
  owner: { organization_id: string; user_id: string },
  key: string,
  { scopes: chosen = scopes, end = {} }: { scopes?: readonly Scope[]; end?: KeyEnd } = {},
  { actor = theServer, action = 'key.create' }: { actor?: Actor; action?: 'key.create' | 'key.import' } = {},
): Promise<number | undefined> {
  const { rows } = await poolOf(way).query<{ key_id: number }>(
    `with made as (
       insert into api_keys (organization_id, user_id, public_id, key_hash, key_hint, scopes, expires_at)
       values ($1::uuid, $2::uuid, $3::text, $4::bytea, $5::text, $6::text[],
               coalesce($7::timestamptz, now() + make_interval(secs => $8::float8)))
       on conflict do nothing
       returning ${shown}
     ), audited as (${auditEntries(action, { from: `made ${ofUser}`, ...ofMade }, '$9')})
     select key_id from made`,
    [
      ...[owner.organization_id, owner.user_id, ...storedParts(key), chosen, end.at ?? null, end.inSeconds ?? null],
      actorParameter(actor),
    ],
  );
  return rows[0]?.key_id;
}

/** The columns that statements return. The hash is not among them, since the role of the API may not read it. */
const shown = 'key_id, organization_id, user_id, key_hint, scopes, expires_at, replaces_key_id';
const ofUser = 'join users whose on whose.user_id = made.user_id and whose.organization_id = made.organization_id';
/** SQL for the audit entry of a key in the row `made`. */
const ofMade = {
  organizationId: 'made.organization_id',
  ofKeyId: 'made.key_id',
  details: `jsonb_build_object('key_hint', left(made.key_hint, 100), 'user_name', whose.name, 'scopes', made.scopes,
                               'expires_at', made.expires_at, 'replaces_key_id', made.replaces_key_id)`,
};

/** The parts of a key that are stored: its public id, its hash and its hint. @throws Error when it cannot be a key */
function storedParts(key: string): [string, Buffer, string] {
  const publicId = publicIdOf(key);
  if (publicId === undefined) throw new Error('This is no key: it is too short, too long or mistyped.');
  return [publicId, hashApiKey(key), apiKeyHint(key)];
}

/**
 * Stores the successor of a valid key that has none. It belongs to the same user and has the same scopes. Unless `end` is
 * given, it has the lifetime that the old key was made with. An earlier overlap may have shortened the old key; then its
 * revoked successor still has the original lifetime, and that is used. The old key ends after the overlap, or at its
 * own end if that is sooner.
 * @returns undefined when there is no such key, it is not valid, or it has a successor
 * @throws a unique violation when a concurrent call does the same
 */
export async function insertSuccessor(
  way: Way,
  keyId: number,
  key: string,
  overlapSeconds: number,
  end: KeyEnd = {},
  actor: Actor = theServer,
): Promise<{ keyId: number; oldExpiresAt: string } | undefined> {
  const { rows } = await poolOf(way).query<{ keyId: number; oldExpiresAt: string }>(
    `with old as (
       select key_id, organization_id, user_id, scopes, created_at, expires_at from api_keys k
       where key_id = $1::bigint and ($9::uuid is null or organization_id = $9::uuid) and ${isValidKey('k')}
         and not exists (select from api_keys n where n.replaces_key_id = k.key_id and n.revoked_at is null)
       for update
     ), lost as (
       select n.expires_at - n.created_at as life from api_keys n join old on n.replaces_key_id = old.key_id
       order by n.key_id desc limit 1
     ), ended as (
       update api_keys k set expires_at = least(k.expires_at, now() + make_interval(secs => $5::float8))
       from old where k.key_id = old.key_id
       returning k.expires_at
     ), made as (
       insert into api_keys
         (organization_id, user_id, public_id, key_hash, key_hint, scopes, expires_at, replaces_key_id)
       select organization_id, user_id, $2::text, $3::bytea, $4::text, scopes,
              coalesce($6::timestamptz, now() + make_interval(secs => $7::float8),
                       now() + case when exists (select from lost) then (select life from lost)
                                    else expires_at - created_at end),
              key_id
       from old
       returning ${shown}
     ), audited as (${auditEntries('key.rotate', { from: `made ${ofUser}`, ...ofMade }, '$8')})
     select made.key_id as "keyId", ended.expires_at as "oldExpiresAt" from made cross join ended`,
    [
      ...[keyId, ...storedParts(key), overlapSeconds, end.at ?? null, end.inSeconds ?? null],
      ...[actorParameter(actor), organizationOf(way)],
    ],
  );
  return rows[0];
}

/** The id of a stored key, whether it is still valid or not. */
export async function findKeyId(database: Database, key: string): Promise<number | undefined> {
  const { rows } = await database.everyOrganization.upkeep.pool.query<{ key_id: number }>(
    'select key_id from api_keys where public_id = $1::text and key_hash = $2::bytea',
    storedParts(key).slice(0, 2),
  );
  return rows[0]?.key_id;
}

/** Changes the scopes or the end of a key that was not revoked. What is not given stays as it is. */
export async function changeKey(
  database: Database,
  keyId: number,
  { scopes: chosen, endsAt }: { scopes?: readonly Scope[] | undefined; endsAt?: string | undefined },
  actor: Actor,
): Promise<void> {
  await database.everyOrganization.upkeep.pool.query(
    `with made as (
       update api_keys set scopes = coalesce($2::text[], scopes), expires_at = coalesce($3::timestamptz, expires_at)
       where key_id = $1::bigint and revoked_at is null
       returning ${shown}
     ) ${auditEntries('key.change', { from: `made ${ofUser}`, ...ofMade }, '$4')}`,
    [keyId, chosen, endsAt, actorParameter(actor)],
  );
}

/** Revokes a key, an expired one too. @returns false when there is no such key, or it was revoked before */
export async function revokeKey(database: Database, keyId: number, actor: Actor = theServer): Promise<boolean> {
  const { rowCount } = await database.everyOrganization.upkeep.pool.query(
    `with made as (
       update api_keys set revoked_at = now() where key_id = $1::bigint and revoked_at is null returning *
     ), audited as (${auditEntries('key.revoke', { from: `made ${ofUser}`, ...ofMade }, '$2')})
     select from made`,
    [keyId, actorParameter(actor)],
  );
  return rowCount !== 0;
}

/** Whether an organization has any valid key. */
export async function hasUsableKey(database: Database, organizationId: string): Promise<boolean> {
  const { rowCount } = await database.everyOrganization.upkeep.pool.query(
    `select from api_keys
     where organization_id = $1::uuid and ${isValidKey()} limit 1`,
    [organizationId],
  );
  return rowCount !== 0;
}
