import { type Static, Type } from '@sinclair/typebox';
import { keyStates, scopes } from '../auth/identity.ts';
import type { AuthLimits } from '../auth/limits.ts';
import { DateTime, Name, Nullable, Uuid } from './schemas.ts';

const Scope = Type.Unsafe<(typeof scopes)[number]>({ type: 'string', enum: [...scopes] });
const State = Type.Unsafe<(typeof keyStates)[number]>({
  type: 'string',
  enum: [...keyStates],
  description: 'open: requests under it are answered',
});

export const KeyParams = Type.Object({
  key_id: Type.String({ pattern: '^[1-9][0-9]{0,14}$', description: 'the number of the key, as GET /keys/ tells it' }),
});

export const UserParams = Type.Object({ user_id: Uuid('the user, as GET /users/ tells it') });

export const KeyQuery = Type.Object({
  state: Type.Optional(State),
  user_id: Type.Optional(Uuid('keys of this user')),
});

export const Key = Type.Object({
  key_id: Type.Integer(),
  key_hint: Type.String({ description: 'how the key begins; no secret' }),
  user_id: Type.String(),
  user_name: Type.String(),
  scopes: Type.Array(Scope),
  state: State,
  created_at: DateTime('when it was made'),
  expires_at: Nullable(DateTime('when it ends by itself; null: never')),
  last_used_at: Nullable(DateTime('when it last opened, to the minute; null: never')),
  revoked_at: Nullable(DateTime('when it was revoked')),
  replaces_key_id: Nullable(Type.Integer({ description: 'the key whose successor it is' })),
  replaced_by_key_id: Nullable(Type.Integer({ description: 'its successor, unless that was revoked' })),
});

/** Only in the answer to the request that has made the key. */
const secret = { api_key: Type.String({ description: 'the key itself, which cannot be had again' }) };

export const MadeKey = Type.Object({ ...Key.properties, ...secret }, { description: 'the new key' });

export const SuccessorKey = Type.Object(
  { ...Key.properties, ...secret, replaced_key_expires_at: DateTime('until when the old key still opens') },
  { description: 'the successor' },
);

const expiresIn = ({ keySecondsMax }: AuthLimits, otherwise: string) =>
  Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: keySecondsMax,
      description: `seconds until it ends; ${otherwise} when absent`,
    }),
  );

export const NewKey = (limits: AuthLimits) =>
  Type.Object(
    {
      user_name: Type.Optional(
        Name({
          description:
            'user whose key it is, matched without regard to case and made when missing; when absent, the user of the requesting key',
        }),
      ),
      scopes: Type.Array(Scope, {
        minItems: 1,
        maxItems: scopes.length,
        uniqueItems: true,
        description: 'what it may do; the requesting key must have each of these scopes itself',
      }),
      expires_in_seconds: expiresIn(limits, 'never'),
    },
    { additionalProperties: false },
  );
export type NewKey = Static<ReturnType<typeof NewKey>>;

export const NewSuccessor = (limits: AuthLimits) =>
  Type.Object(
    {
      overlap_seconds: Type.Optional(
        Type.Integer({
          minimum: 0,
          maximum: limits.keySecondsMax,
          description: `seconds for which both keys open; ${limits.keyOverlapSeconds} when absent`,
        }),
      ),
      expires_in_seconds: expiresIn(limits, 'as many as the old key was made to last'),
    },
    { additionalProperties: false },
  );
export type NewSuccessor = Static<ReturnType<typeof NewSuccessor>>;

export const User = Type.Object({
  user_id: Type.String(),
  name: Type.String(),
  created_at: DateTime('when the user was made'),
  open_key_count: Type.Integer({ description: 'keys that open now' }),
  last_used_at: Nullable(DateTime('when any of them was last used, to the minute')),
});

export const RevokedKeys = Type.Object({
  user_id: Type.String(),
  revoked_key_ids: Type.Array(Type.Integer(), { description: 'the keys that opened until now' }),
});
