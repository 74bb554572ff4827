import { type Static, Type } from '@sinclair/typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { publicIdOf } from '../auth/api-key.ts';
import type { Identity } from '../auth/identity.ts';
import { scopes } from '../auth/identity.ts';
import type { SessionFacts } from '../auth/session-store.ts';
import type { NewSession } from '../auth/sessions.ts';
import type { Actor } from '../database/audit.ts';
import { ApiError } from '../errors.ts';
import { actorFor } from './actor.ts';
import type { App } from './app-type.ts';
import { type Credentials, identityOfKey, requireScope } from './auth.ts';
import { refuseOtherOrigins } from './same-origin.ts';
import { bodyRefusals, DateTime, Nullable, refusals } from './schemas.ts';
import { noSessionCookie, sessionCookie, sessionTokenOf } from './session-cookie.ts';

const tags = ['session'];

const SignIn = Type.Object(
  {
    api_key: Type.Optional(Type.String({ description: 'a key that may read' })),
    token: Type.Optional(Type.String({ description: 'the token in the link of the first start, or of `keys link`' })),
  },
  { additionalProperties: false, minProperties: 1, maxProperties: 1, description: 'exactly one of the two' },
);

const Session = Type.Object({
  organization_id: Type.String(),
  organization_name: Type.String(),
  user_id: Type.String(),
  user_name: Type.String(),
  key_id: Type.Integer({
    description: 'id of the key that has begun the session, as in `keys list`; the session may do what the key may do',
  }),
  scopes: Type.Array(Type.Unsafe<(typeof scopes)[number]>({ type: 'string', enum: [...scopes] })),
  expires_at: Nullable(
    DateTime('when the session ends, unless its key ends before; null if the request has a key instead'),
  ),
});

export interface SessionOptions extends Credentials {
  /** How long a session lasts. */
  sessionSeconds: number;
}

/**
 * `/session`: a person signs in with a key or with a link, each link once. The answer sets a cookie, which then replaces
 * X-API-KEY. Other routes show who is signed in, and sign out.
 */
export function sessionRoutes(app: App, { sessionSeconds, ...credentials }: SessionOptions): void {
  const { identities, sessions, publicUrl } = credentials;

  const begun = (request: FastifyRequest, reply: FastifyReply, { token, identity, ...facts }: NewSession) => {
    reply.header('set-cookie', sessionCookie(request, token, sessionSeconds, publicUrl));
    return answerOf(identity, facts);
  };

  const signIn = async ({ api_key: key, token }: Static<typeof SignIn>, actor: Actor): Promise<NewSession> => {
    try {
      const session = token === undefined ? await withKey(key as string, actor) : await sessions.exchange(token, actor);
      if (session !== undefined) return session;
      throw new ApiError('unauthorized', 'This link is unknown, was used or is over.');
    } catch (error) {
      const isRefusal = error instanceof ApiError && error.status < 500;
      if (isRefusal) sessions.noteRefused({ actor, publicId: key && publicIdOf(key), why: error.message });
      throw error;
    }
  };
  const withKey = async (key: string, actor: Actor): Promise<NewSession> => {
    const identity = await identityOfKey(identities, key);
    requireScope(identity, 'read');
    const session = await sessions.begin(identity, { ...actor, kind: 'key', keyId: identity.keyId });
    if (session === undefined) throw new ApiError('unauthorized', 'This API key is unknown, revoked or expired.');
    return session;
  };

  app.post(
    '/session',
    {
      config: { open: true, readsSecret: true },
      schema: {
        tags,
        summary: 'Sign in: the answer sets a cookie that counts where X-API-KEY does, for pages of this server alone',
        body: SignIn,
        response: { 200: Session, ...refusals(...bodyRefusals) },
      },
    },
    async (request, reply) => {
      // Otherwise another page could sign a person's browser in to a session of its own (login CSRF).
      refuseOtherOrigins(request, publicUrl);
      const session = await signIn(request.body, actorFor(request));
      return begun(request, reply, session);
    },
  );

  app.get(
    '/session',
    {
      schema: { tags, summary: 'Who is signed in, and until when', response: { 200: Session, ...refusals(400, 422) } },
    },
    async (request) => {
      const token = request.headers['x-api-key'] === undefined ? sessionTokenOf(request.headers) : undefined;
      return answerOf(request.identity, await sessions.describe(request.identity, token));
    },
  );

  app.delete(
    '/session',
    {
      // Signing in needs `read`, so signing out must not need more.
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'Sign out: the session ends, and its cookie goes',
        response: { 204: Type.Null({ description: 'signed out' }), ...refusals(...bodyRefusals) },
      },
    },
    async (request, reply) => {
      const token = sessionTokenOf(request.headers);
      if (token !== undefined) await sessions.end(token, actorFor(request));
      return reply.header('set-cookie', noSessionCookie(request, publicUrl)).code(204).send(null);
    },
  );
}

function answerOf({ organizationId, userId, keyId, scopes }: Identity, facts: SessionFacts): Static<typeof Session> {
  return {
    organization_id: organizationId,
    organization_name: facts.organization_name,
    user_id: userId,
    user_name: facts.user_name,
    key_id: keyId,
    scopes,
    expires_at: facts.expires_at,
  };
}
