import { Type } from '@sinclair/typebox';
import type { FastifyRequest } from 'fastify';
import { nextOwnKeys } from '../auth/key-list-store.ts';
import { makeOwnKey, replaceOwnKey, revokeKeysOfUser, revokeOwnKey } from '../auth/key-service.ts';
import type { AuthLimits } from '../auth/limits.ts';
import { nextUsers } from '../auth/people-store.ts';
import type { Database } from '../database/database.ts';
import { rowPages } from '../lib/row-pages.ts';
import { actorFor } from './actor.ts';
import type { App } from './app-type.ts';
import {
  Key,
  KeyParams,
  KeyQuery,
  MadeKey,
  NewKey,
  NewSuccessor,
  RevokedKeys,
  SuccessorKey,
  User,
  UserParams,
} from './key-schemas.ts';
import { readFor } from './readings.ts';
import { bodyRefusals, refusals } from './schemas.ts';
import { asRows, sendList } from './send-list.ts';

const tags = ['keys'];
/** These routes need the scope admin, which covers the keys of its own organization only. */
const config = { scope: 'admin' as const };
const prefixTrailingSlash = 'slash';

interface KeyRouteDependencies {
  database: Database;
  limits: AuthLimits;
}

/**
 * `/keys`: lists, makes, replaces and revokes keys of the requesting organization. A new key is shown once, in the
 * answer.
 */
export function keyRoutes(app: App, { database, limits }: KeyRouteDependencies): void {
  const own = (request: FastifyRequest) => database.as(request.identity.organizationId, undefined, actorFor(request));

  app.get(
    '/',
    {
      prefixTrailingSlash,
      config,
      schema: {
        tags,
        summary: 'The keys of the organization, by their numbers, without the keys themselves',
        querystring: KeyQuery,
        response: { 200: Type.Array(Key), ...refusals(422) },
      },
    },
    (request, reply) => {
      const { organization } = readFor(database, request);
      const { state, user_id: userId } = request.query;
      const next = (after?: { key_id: number }) =>
        nextOwnKeys(organization, { state, userId }, after, limits.listedRowsMax);
      return sendList(reply, asRows(rowPages(limits.listedRowsMax, next)));
    },
  );

  app.post(
    '/',
    {
      prefixTrailingSlash,
      config,
      schema: {
        tags,
        summary: 'Make a key; it is shown in this answer only',
        body: NewKey(limits),
        response: { 201: MadeKey, ...refusals(...bodyRefusals, 409) },
      },
    },
    async (request, reply) =>
      reply.code(201).send(await makeOwnKey(own(request), request.identity, request.body, limits)),
  );

  app.post(
    '/:key_id/rotate',
    {
      config,
      schema: {
        tags,
        summary:
          'Make the successor of a key: of the same user, with the same scopes; the old one opens until the overlap is over',
        params: KeyParams,
        body: NewSuccessor(limits),
        response: { 201: SuccessorKey, ...refusals(...bodyRefusals, 404, 409) },
      },
    },
    async (request, reply) => {
      const keyId = Number(request.params.key_id);
      return reply.code(201).send(await replaceOwnKey(own(request), request.identity, keyId, request.body, limits));
    },
  );

  app.delete(
    '/:key_id',
    {
      config,
      schema: {
        tags,
        summary:
          'Revoke a key: every server refuses it, and the sessions that were begun with it, within seconds; a repetition changes nothing',
        params: KeyParams,
        response: { 200: Key, ...refusals(...bodyRefusals, 404, 409) },
      },
    },
    (request) => revokeOwnKey(own(request), Number(request.params.key_id)),
  );
}

/** `/users`: lists the users of the requesting organization, and revokes all keys of one. */
export function userRoutes(app: App, { database, limits }: KeyRouteDependencies): void {
  app.get(
    '/',
    {
      prefixTrailingSlash,
      config,
      schema: {
        tags,
        summary: 'The users of the organization, by name',
        response: { 200: Type.Array(User), ...refusals(422) },
      },
    },
    (request, reply) => {
      const { organization } = readFor(database, request);
      const next = (after?: Parameters<typeof nextUsers>[1]) => nextUsers(organization, after, limits.listedRowsMax);
      return sendList(reply, asRows(rowPages(limits.listedRowsMax, next)));
    },
  );

  app.delete(
    '/:user_id/keys/',
    {
      config,
      schema: {
        tags,
        summary: 'Revoke all keys of a user, with the sessions that were begun with them; the user and the data stay',
        params: UserParams,
        response: { 200: RevokedKeys, ...refusals(...bodyRefusals, 404, 409) },
      },
    },
    async (request) => {
      const user_id = request.params.user_id.toLowerCase();
      const organization = database.as(request.identity.organizationId, undefined, actorFor(request));
      return { user_id, revoked_key_ids: await revokeKeysOfUser(organization, user_id) };
    },
  );
}
