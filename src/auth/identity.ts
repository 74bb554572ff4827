export const scopes = ['read', 'write', 'delete', 'admin'] as const;
export type Scope = (typeof scopes)[number];

/** `open` is a valid key; the others say why a key is not. */
export const keyStates = ['open', 'expired', 'revoked'] as const;

/** Who sends a request. Every request with a key, or in a session that a key began, has an identity. */
export interface Identity {
  organizationId: string;
  userId: string;
  keyId: number;
  scopes: Scope[];
}

/** An identity, and whether the record of its key's last use is older than `keyUseMsMin`. */
export interface FoundKey extends Identity {
  isUseStale: boolean;
}
