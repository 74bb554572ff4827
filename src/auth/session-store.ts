/** Sessions, and links that begin one. Both stand for a key: they grant what it grants, and end with it. */
import { type Actor, actorParameter, auditEntries, theServer } from '../database/audit.ts';
import type { Database } from '../database/database.ts';
import type { FoundKey, Identity } from './identity.ts';
import type { AuthLimits } from './limits.ts';
import { hashToken } from './tokens.ts';
import { isValidKey } from './valid-key.ts';

/** What a person sees of a session. `expires_at` is null when a request uses a key and not a session. */
export interface SessionFacts {
  organization_name: string;
  user_name: string;
  expires_at: string | null;
}

/** A session that has been stored, and whose it is. */
export interface StoredSession extends SessionFacts {
  identity: Identity;
}

/** SQL for the audit entry of a new session. Its actor is the key. */
const begunBy = {
  from: 'made cross join opener',
  organizationId: 'opener.organization_id',
  keyId: 'opener.key_id',
  details: `jsonb_build_object('expires_at', made.expires_at)`,
};

const identityColumns =
  'key.organization_id as "organizationId", key.user_id as "userId", key.key_id as "keyId", key.scopes';

/**
 * Looks up sessions by their tokens. @returns the identities in the order of the tokens; undefined for a session that is
 * unknown or has ended, or whose key is not valid any more
 */
export const findSessions = finder('sessions');

/** Looks up links in the same way. A link that was used is unknown. */
export const findSignInLinks = finder('sign_in_links');

function finder(table: 'sessions' | 'sign_in_links') {
  return async (
    database: Database,
    tokens: readonly string[],
    { keyUseMsMin }: Pick<AuthLimits, 'keyUseMsMin'>,
  ): Promise<(FoundKey | undefined)[]> => {
    const hashes = tokens.map(hashToken);
    const { rows } = await database.everyOrganization.keys.query<FoundKey & { tokenHash: Buffer }>({
      name: `find_${table}`,
      text: `select ${identityColumns}, own.token_hash as "tokenHash",
                    coalesce(key.last_used_at < now() - make_interval(secs => $2::float8), true) as "isUseStale"
             from ${table} own
             join api_keys key on key.key_id = own.key_id and key.organization_id = own.organization_id
             where own.token_hash = any($1::bytea[]) and own.expires_at > now() and ${isValidKey('key')}`,
      values: [hashes, keyUseMsMin / 1_000],
    });
    const rowOf = new Map(rows.map(({ tokenHash, ...found }) => [tokenHash.toString('hex'), found]));
    return hashes.map((hash) => rowOf.get(hash.toString('hex')));
  };
}

export interface SessionBounds extends Pick<AuthLimits, 'sessionsPerKeyMax' | 'endedSweptMax'> {
  /** How long a session lasts. */
  sessionSeconds: number;
}

/**
 * Stores a session of a key; of its token only the hash. The same statement removes expired sessions, and the oldest
 * ones of a key that has too many.
 * @returns undefined when the key is not valid any more
 */
export function insertSession(
  database: Database,
  { organizationId, keyId }: Pick<Identity, 'organizationId' | 'keyId'>,
  token: string,
  bounds: SessionBounds,
  actor: Actor,
): Promise<StoredSession | undefined> {
  const named = 'select $6::uuid as organization_id, $7::bigint as key_id';
  return storeSession(database, named, token, bounds, { ...actor, kind: 'key' }, [organizationId, keyId]);
}

/**
 * Exchanges a link for a session, atomically: of two concurrent uses of a link only one gets a session.
 * @returns undefined when the link is unknown, was used or has expired, or its key is not valid any more
 */
export function exchangeLink(
  database: Database,
  link: string,
  token: string,
  bounds: SessionBounds,
  actor: Actor,
): Promise<StoredSession | undefined> {
  const used = `delete from sign_in_links where token_hash = $6::bytea and expires_at > now()
                returning organization_id, key_id`;
  return storeSession(database, used, token, bounds, { ...actor, kind: 'key' }, [hashToken(link)]);
}

/**
 * @param named SQL that selects `organization_id` and `key_id` of the key; its parameters begin at $6 and are in
 * `values`
 */
async function storeSession(
  database: Database,
  named: string,
  token: string,
  { sessionSeconds, sessionsPerKeyMax, endedSweptMax }: SessionBounds,
  actor: Actor,
  values: unknown[],
): Promise<StoredSession | undefined> {
  const { rows } = await database.everyOrganization.upkeep.pool.query<Identity & SessionFacts>(
    `with named as (${named}), opener as (
       select key.* from named join api_keys key using (organization_id, key_id) where ${isValidKey('key')}
     ), ${sweep('sessions', '$3', '$4')}, made as (
       insert into sessions (token_hash, organization_id, key_id, expires_at)
       select $1::bytea, organization_id, key_id, now() + make_interval(secs => $2::float8) from opener
       returning expires_at
     ), audited as (${auditEntries('session.begin', begunBy, '$5')})
     select ${identityColumns}, organizations.name as organization_name, users.name as user_name, made.expires_at
     from made cross join opener key
     join organizations on organizations.organization_id = key.organization_id
     join users on users.user_id = key.user_id and users.organization_id = key.organization_id`,
    [hashToken(token), sessionSeconds, sessionsPerKeyMax, endedSweptMax, actorParameter(actor), ...values],
  );
  const [row] = rows;
  if (row === undefined) return undefined;
  const { organization_name, user_name, expires_at, ...identity } = row;
  return { organization_name, user_name, expires_at, identity };
}

/**
 * SQL that removes expired rows, and the oldest rows of a key that has reached its limit. It skips rows that a concurrent
 * statement has locked.
 */
const sweep = (table: string, perKeyMax: string, sweptMax: string) => `ended as (
       delete from ${table} where token_hash in (
         select token_hash from ${table} where expires_at <= now() order by expires_at
         limit ${sweptMax}::integer for update skip locked)
     ), surplus as (
       delete from ${table} where token_hash in (
         select token_hash from ${table} where key_id = (select key_id from opener) and expires_at > now()
         order by created_at desc offset ${perKeyMax}::integer - 1 for update skip locked)
     )`;

/** Describes the session of a request, or the owner of its key. @param token of the session; undefined without one */
export async function findSessionFacts(
  database: Database,
  { organizationId, userId }: Identity,
  token: string | undefined,
): Promise<SessionFacts> {
  const { rows } = await database.everyOrganization.keys.query<SessionFacts>({
    name: 'find_session_facts',
    text: `select organizations.name as organization_name, users.name as user_name,
                  (select expires_at from sessions where token_hash = $3::bytea) as expires_at
           from users join organizations using (organization_id)
           where organization_id = $1::uuid and user_id = $2::uuid`,
    values: [organizationId, userId, token === undefined ? null : hashToken(token)],
  });
  return rows[0] as SessionFacts;
}

/** Ends a session. A session that does not exist has ended already, so that is no error. */
export async function deleteSession(database: Database, token: string, actor: Actor): Promise<void> {
  await database.everyOrganization.upkeep.pool.query(
    `with ended as (delete from sessions where token_hash = $1::bytea returning organization_id, key_id)
     ${auditEntries(
       'session.end',
       { from: 'ended', organizationId: 'organization_id', keyId: 'ended.key_id', details: `'{}'::jsonb` },
       '$2',
     )}`,
    [hashToken(token), actorParameter({ ...actor, kind: 'key' })],
  );
}

/** A refused attempt to sign in. */
export interface RefusedSignIn {
  actor: Actor;
  /** Public id of the key that was tried. It identifies the organization, even when the key is not valid. */
  publicId?: string | undefined;
  why: string;
  /** For an entry that sums up: how many attempts, of anybody, were only counted. */
  count?: number;
}

/** Writes a refused sign-in into the audit log, under the organization of the key that was tried, if that is known. */
export async function noteRefusedSignIn(
  database: Database,
  { actor, publicId, why, count }: RefusedSignIn,
): Promise<void> {
  await database.everyOrganization.upkeep.pool.query(
    auditEntries(
      'session.refuse',
      {
        from: `(select $2::jsonb as details) tried
               left join api_keys key on key.public_id = $3::text`,
        organizationId: 'key.organization_id',
        ofKeyId: 'key.key_id',
        details: 'tried.details',
      },
      '$1',
    ),
    [actorParameter(actor), JSON.stringify({ why, count }), publicId ?? null],
  );
}

/**
 * Stores a link that signs in once with a key.
 * @returns when it expires; undefined when no valid key has that id
 */
export async function insertLink(
  database: Database,
  keyId: number,
  token: string,
  {
    linkSeconds,
    sessionsPerKeyMax,
    endedSweptMax,
  }: Pick<AuthLimits, 'linkSeconds' | 'sessionsPerKeyMax' | 'endedSweptMax'>,
  actor: Actor = theServer,
): Promise<string | undefined> {
  const { rows } = await database.everyOrganization.upkeep.pool.query<{ expires_at: string }>(
    `with opener as (select * from api_keys key where key_id = $5::bigint and ${isValidKey('key')}),
     ${sweep('sign_in_links', '$3', '$4')}, made as (
       insert into sign_in_links (token_hash, organization_id, key_id, expires_at)
       select $1::bytea, organization_id, key_id, now() + make_interval(secs => $2::float8) from opener
       returning *
     ), audited as (${auditEntries(
       'key.link',
       {
         from: 'made',
         organizationId: 'made.organization_id',
         ofKeyId: 'made.key_id',
         details: `jsonb_build_object('expires_at', made.expires_at)`,
       },
       '$6',
     )})
     select expires_at from made`,
    [hashToken(token), linkSeconds, sessionsPerKeyMax, endedSweptMax, keyId, actorParameter(actor)],
  );
  return rows[0]?.expires_at;
}
