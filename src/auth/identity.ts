export const scopes = ['read', 'write', 'delete', 'admin'] as const;
export type Scope = (typeof scopes)[number];

/** Whether a key opens; if not, why. */
export const keyStates = ['open', 'expired', 'revoked'] as const;

/** Who asks: every request under a key, or in a session that was begun with one, has one. */
export interface Identity {
  organizationId: string;
  userId: string;
  keyId: number;
  scopes: Scope[];
}

/** An identity, and whether it is long ago that the use of its key was noted. */
export interface FoundKey extends Identity {
  isUseStale: boolean;
}
