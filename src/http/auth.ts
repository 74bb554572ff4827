import type { IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { isMistyped, publicIdOf } from '../auth/api-key.ts';
import type { Identities } from '../auth/identities.ts';
import type { Identity, Scope } from '../auth/identity.ts';
import type { Sessions } from '../auth/sessions.ts';
import { ApiError } from '../errors.ts';
import { requireOwnPage } from './same-origin.ts';
import { sessionTokenOf } from './session-cookie.ts';

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

/** By what it is known who asks. */
export interface Credentials {
  identities: Identities;
  sessions: Sessions;
  /** PUBLIC_URL. */
  publicUrl: string | undefined;
}

/**
 * Asks every route for a key in `X-API-KEY`, or for the cookie of a session, but for those whose `config` says `open`. It runs
 * before the body is read. 401 for a missing, mistyped, unknown, revoked or expired key, and for a session that has ended; 403 for
 * a key without the scope, and for a cookie that comes from the page of another origin.
 * @param onKnown told of the connection of each request under a known key, and of whose it is
 */
export function requireKeys(
  app: FastifyInstance,
  credentials: Credentials,
  onKnown: (socket: Socket, organizationId: string) => void = () => {},
): void {
  app.decorateRequest('identity');
  app.addHook('onRequest', async (request) => {
    const { open, scope } = request.routeOptions.config;
    if (open || request.is404) return;
    request.identity = await authenticate(credentials, request);
    onKnown(request.raw.socket, request.identity.organizationId);
    requireScope(request.identity, scope ?? scopeOf(request.method));
  });
}

/**
 * Whether a request that was let in, and is still being answered, would be let in now.
 * @throws ApiError 503 when that is not known
 */
export async function stillOpens(credentials: Credentials, request: FastifyRequest): Promise<boolean> {
  const { scope = scopeOf(request.method) } = request.routeOptions.config;
  try {
    return (await authenticate(credentials, request)).scopes.includes(scope);
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

/**
 * Who asks, by the key; without one, by the session.
 * @throws ApiError 401, and 403 for the cookie of a session that comes from elsewhere
 */
export async function authenticate(credentials: Credentials, request: FastifyRequest): Promise<Identity> {
  const key = keyIn(request.headers);
  if (key !== undefined) return identityOfKey(credentials.identities, key);
  const token = sessionTokenOf(request.headers);
  if (token === undefined) throw new ApiError('unauthorized', 'An API key is required in the header X-API-KEY.');
  requireOwnPage(request, credentials.publicUrl);
  const identity = await credentials.sessions.of(token);
  if (identity === undefined) throw new ApiError('unauthorized', 'This session has ended: sign in again.');
  return identity;
}

/** The organization of whoever is known already; undefined of anybody else. Costs a look into a map or two. */
export function knownOrganization(
  { identities, sessions }: Omit<Credentials, 'publicUrl'>,
  headers: IncomingHttpHeaders,
): string | undefined {
  const key = keyIn(headers);
  if (key !== undefined) return identities.organizationOf(key);
  const token = sessionTokenOf(headers);
  return token === undefined ? undefined : sessions.organizationOf(token);
}

function keyIn(headers: IncomingHttpHeaders): string | undefined {
  const key = headers['x-api-key'];
  return typeof key === 'string' && key !== '' ? key : undefined;
}

/** @throws ApiError 401 */
export async function identityOfKey(identities: Identities, key: string): Promise<Identity> {
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
