/**
 * The rules for administering the keys of an organization by the API: nobody can grant a scope that his own key lacks,
 * and the last valid key with the scope admin cannot be revoked.
 */
import type { OrganizationDatabase } from '../database/organizations.ts';
import { hasSqlstate, sqlstates } from '../database/sqlstates.ts';
import { ApiError, invalid, notFound } from '../errors.ts';
import { newApiKey } from './api-key.ts';
import type { Identity, Scope } from './identity.ts';
import { type KeyRow, nextOwnKeys } from './key-list-store.ts';
import { countOpenKeys, revokeOwnKeys } from './key-revocation-store.ts';
import type { AuthLimits } from './limits.ts';
import { addOwnUser, findOwnUser } from './people-store.ts';
import { insertKey, insertSuccessor } from './store.ts';

/**
 * Makes a key for a user of the organization. A missing user is created; without `user_name` the key is for the
 * requester.
 * @returns the key's row and, in `api_key`, the key itself, which cannot be shown again
 * @throws ApiError 403 for scopes that the requester lacks, 409 when the organization has `openKeysMax` keys, 422 for a
 * blank name
 */
export async function makeOwnKey(
  organization: OrganizationDatabase,
  identity: Identity,
  wanted: { user_name?: string; scopes: Scope[]; expires_in_seconds?: number },
  limits: Pick<AuthLimits, 'openKeysMax'>,
): Promise<KeyRow & { api_key: string }> {
  requireScopes(identity, wanted.scopes);
  await requireRoom(organization, limits);
  const owner = {
    organization_id: organization.organizationId,
    user_id: wanted.user_name === undefined ? identity.userId : await userOf(organization, wanted.user_name),
  };
  const api_key = newApiKey();
  const terms = { scopes: wanted.scopes, end: { inSeconds: wanted.expires_in_seconds } };
  const keyId = await insertKey(organization, owner, api_key, terms, { actor: organization.actor });
  return { ...(await ownKey(organization, keyId as number)), api_key };
}

/**
 * Makes the successor of a key of the organization. Both are valid until the overlap ends.
 * @throws ApiError 403 when the key has scopes that the requester lacks, 404 when there is no such key, 409 when it is
 * not valid any more, has a successor, or the organization has `openKeysMax` keys
 */
export async function replaceOwnKey(
  organization: OrganizationDatabase,
  identity: Identity,
  keyId: number,
  wanted: { overlap_seconds?: number; expires_in_seconds?: number },
  limits: Pick<AuthLimits, 'openKeysMax' | 'keyOverlapSeconds'>,
): Promise<KeyRow & { api_key: string; replaced_key_expires_at: string }> {
  requireScopes(identity, (await ownKey(organization, keyId)).scopes);
  await requireRoom(organization, limits);
  const { overlap_seconds = limits.keyOverlapSeconds, expires_in_seconds: inSeconds } = wanted;
  const api_key = newApiKey();
  const { actor } = organization;
  const made = await insertSuccessor(organization, keyId, api_key, overlap_seconds, { inSeconds }, actor).catch(
    (error) => {
      // A concurrent request has replaced the same key.
      if (hasSqlstate(error, sqlstates.uniqueViolation)) return undefined;
      throw error;
    },
  );
  if (made === undefined) {
    throw new ApiError('conflict', `Key ${keyId} does not open any more, or has a successor already.`);
  }
  return { ...(await ownKey(organization, made.keyId)), api_key, replaced_key_expires_at: made.oldExpiresAt };
}

/**
 * Revokes a key of the organization. A key that is expired or revoked already stays as it is.
 * @throws ApiError 404 when there is no such key, 409 when it is the last valid one with the scope admin
 */
export async function revokeOwnKey(organization: OrganizationDatabase, keyId: number): Promise<KeyRow> {
  await ownKey(organization, keyId);
  await revokeUnlessLast(organization, { keyId });
  return ownKey(organization, keyId);
}

/**
 * Revokes all valid keys of a user of the organization.
 * @returns the ids of the revoked keys
 * @throws ApiError 404 when there is no such user, 409 when no valid key with the scope admin would be left
 */
export async function revokeKeysOfUser(organization: OrganizationDatabase, userId: string): Promise<number[]> {
  if (!(await findOwnUser(organization, userId))) throw notFound(`User ${userId}`);
  return revokeUnlessLast(organization, { userId });
}

async function revokeUnlessLast(
  organization: OrganizationDatabase,
  which: { userId?: string; keyId?: number },
): Promise<number[]> {
  const revoked = await revokeOwnKeys(organization, which);
  if (revoked !== undefined) return revoked;
  throw new ApiError(
    'conflict',
    'Then no key of the organization could administer keys any more. Make another one with the scope "admin" first, or let the ' +
      'operator revoke this one: metrology-server keys revoke.',
  );
}

/** @throws ApiError 403 */
function requireScopes(identity: Identity, scopes: readonly Scope[]): void {
  const lacking = scopes.find((scope) => !identity.scopes.includes(scope));
  if (lacking === undefined) return;
  throw new ApiError('forbidden', `Nobody gives the scope "${lacking}" with a key that lacks it.`);
}

/** @throws ApiError 409 */
async function requireRoom(organization: OrganizationDatabase, { openKeysMax }: Pick<AuthLimits, 'openKeysMax'>) {
  if ((await countOpenKeys(organization, openKeysMax)) < openKeysMax) return;
  throw new ApiError('conflict', `An organization makes no more keys while ${openKeysMax} of it open (openKeysMax).`);
}

async function userOf(organization: OrganizationDatabase, name: string): Promise<string> {
  const trimmed = name.trim();
  if (trimmed === '') throw invalid(['body', 'user_name'], 'user_name must not be blank', name);
  return (await addOwnUser(organization, trimmed)).id;
}

/** @throws ApiError 404 */
async function ownKey(organization: OrganizationDatabase, keyId: number): Promise<KeyRow> {
  const [key] = await nextOwnKeys(organization, { keyId }, undefined, 1);
  if (key === undefined) throw notFound(`Key ${keyId}`);
  return key;
}
