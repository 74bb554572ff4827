import { callApi } from './client.ts';

export interface SignedIn {
  organization_id: string;
  organization_name?: string | null;
  key_id: string;
  scopes: string[];
  expires_at: string;
}

/** @throws ApiFailure 401 when nobody is signed in */
export const readSession = () => callApi<SignedIn>('session', { signingIn: true });

/** @param secret a key, or the one-time token of the link that the first start of a server prints */
export const signIn = (secret: { api_key: string } | { token: string }) =>
  callApi<SignedIn>('session', { body: secret, signingIn: true });

export const signOut = () => callApi<void>('session', { method: 'DELETE', signingIn: true });
