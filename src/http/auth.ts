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
    /** The route needs no key. Every other route needs one. */
    open?: boolean;
    /** The scope that the key must have. Default: read for GET and HEAD, delete for DELETE, write for the rest. */
    scope?: Scope;
  }
  interface FastifyRequest {
    /**
     * Who sends the request. On open routes, and before the key was checked, it is undefined despite its type. Handlers of
     * all other routes run after the check. What runs before it or on every route, such as logs, bodies and the error
     * handler, looks whether it is there.
     */
    identity: Identity;
  }
}

/** What authentication needs: the look-ups of keys and sessions. */
export interface Credentials {
  identities: Identities;
  sessions: Sessions;
  /** PUBLIC_URL. */
  publicUrl: string | undefined;
}

/**
 * Requires a key in `X-API-KEY` or the cookie of a session on every route, except those whose `config` says `open`. It
 * runs before the body is read. 401 for a key that is missing, mistyped, unknown, revoked or expired, and for a session
 * that has ended; 403 for a key without the scope, and for a cookie sent by the page of another origin.
 * @param onKnown called for each authenticated request with its connection and its organization
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
 * Checks again the key or session of a request whose answer is still being sent. @returns whether it would be accepted now
 * @throws ApiError 503 when the database cannot be asked
 */
export async function isStillAccepted(credentials: Credentials, request: FastifyRequest): Promise<boolean> {
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
 * Finds out who sends a request: by its key or, without one, by its session.
 * @throws ApiError 401; 403 for the cookie of a session that another page has sent
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

/**
 * The organization of a request whose key or session is in the cache; undefined otherwise. It never asks the database.
 */
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

/** @throws ApiError 401; 503 when an unknown key cannot be looked up in time */
export async function identityOfKey(identities: Identities, key: string): Promise<Identity> {
  // A text that cannot be a key is refused without asking the database, even while that is away.
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
