import { callApi, queryOf } from './client.ts';

export const allScopes = ['read', 'write', 'delete', 'admin'] as const;

/** What the server tells of a key: everything but the key itself. */
export interface Key {
  key_id: number;
  key_hint: string;
  user_id: string;
  user_name: string;
  scopes: string[];
  state: 'open' | 'expired' | 'revoked';
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
  revoked_at: string | null;
  replaces_key_id: number | null;
  replaced_by_key_id: number | null;
}

/** A new key with its secret, which the server answers only this once. */
export type MadeKey = Key & { api_key: string };

/** All keys of the organization in one state, or in any when it is undefined. @throws ApiFailure 403 without the scope `admin` */
export const listKeys = (state: Key['state'] | undefined, signal?: AbortSignal) =>
  callApi<Key[]>(`keys/?${queryOf({ state })}`, { signal });

export const makeKey = (wanted: { user_name: string; scopes: string[]; expires_in_seconds?: number }) =>
  callApi<MadeKey>('keys/', { body: wanted });

export const rotateKey = (keyId: number, overlapSeconds: number) =>
  callApi<MadeKey>(`keys/${keyId}/rotate`, { body: { overlap_seconds: overlapSeconds } });

export const revokeKey = (keyId: number) => callApi<Key>(`keys/${keyId}`, { method: 'DELETE' });

export const revokeKeysOf = (userId: string) =>
  callApi<{ revoked_key_ids: number[] }>(`users/${userId}/keys/`, { method: 'DELETE' });
