import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { isMistyped, publicIdOf } from '../auth/api-key.ts';
import type { Identities } from '../auth/identities.ts';
import type { Identity, Scope } from '../auth/store.ts';
import { ApiError } from '../errors.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** No key is needed. Every other route needs one. */
    open?: boolean;
    /** The scope that the key must have; by default read for GET, delete for DELETE, write for the rest. */
    scope?: Scope;
  }
  interface FastifyRequest {
    /** Who asks. Routes that are open have none; reading it there throws. */
    identity: Identity;
  }
}

/**
 * Asks every route for a key in `X-API-KEY`, but for those whose `config` says `open`. It runs before the body is read.
 * 401 for a missing, mistyped, unknown, revoked or expired key; 403 for one without the scope.
 * @param onKnown told of the connection of each request under a known key, and of whose it is
 */
export function requireKeys(
  app: FastifyInstance,
  identities: Identities,
  onKnown: (socket: Socket, organizationId: string) => void = () => {},
): void {
  app.decorateRequest('identity');
  app.addHook('onRequest', async (request) => {
    const { open, scope } = request.routeOptions.config;
    if (open || request.is404) return;
    request.identity = await authenticate(identities, request);
    onKnown(request.raw.socket, request.identity.organizationId);
    requireScope(request.identity, scope ?? scopeOf(request.method));
  });
}

/**
 * Whether a request that was let in, and is still being answered, would be let in now.
 * @throws ApiError 503 when that is not known
 */
export async function stillOpens(identities: Identities, request: FastifyRequest): Promise<boolean> {
  const { scope = scopeOf(request.method) } = request.routeOptions.config;
  try {
    return (await authenticate(identities, request)).scopes.includes(scope);
  } catch (error) {
    if (error instanceof ApiError && error.code === 'unauthorized') return false;
    throw error;
  }
}

/** @throws ApiError 403 */
export function requireScope(identity: Identity, scope: Scope): void {
  if (identity.scopes.includes(scope)) return;
  throw new ApiError('forbidden', `This API key lacks the scope "${scope}".`);
}

/** @throws ApiError 401 */
export async function authenticate(identities: Identities, request: FastifyRequest): Promise<Identity> {
  const key = request.headers['x-api-key'];
  if (typeof key !== 'string' || key === '') {
    throw new ApiError('unauthorized', 'An API key is required in the header X-API-KEY.');
  }
  // What cannot be a key is refused without the database, also while that is away.
  const canBeKey = identities.organizationOf(key) !== undefined || publicIdOf(key) !== undefined;
  const identity = canBeKey ? await identities.of(key) : undefined;
  if (identity === undefined) {
    const why = isMistyped(key) ? 'cut or mistyped: its checksum does not fit.' : 'unknown, revoked or expired.';
    throw new ApiError('unauthorized', `This API key is ${why}`);
  }
  return identity;
}

function scopeOf(method: string): Scope {
  if (method === 'GET' || method === 'HEAD') return 'read';
  return method === 'DELETE' ? 'delete' : 'write';
}
