import { type Static, type TSchema, Type } from '@sinclair/typebox';
import { contract } from '../contract.ts';

/**
 * Text that PostgreSQL can store and JSON can carry: no U+0000 and no lone surrogate. The pattern is matched by code
 * point, so its range of surrogates matches only lone ones.
 */
export const storableTextPattern = '^[^\\u0000\\ud800-\\udfff]*$';

export const Text = (options: { minLength?: number; maxLength?: number; description?: string } = {}) =>
  Type.String({ maxLength: contract.textLengthMax, pattern: storableTextPattern, ...options });

/** The name of a thing; names are unique within an organization. */
export const Name = ({ description }: { description: string }) =>
  Text({ minLength: 1, maxLength: contract.nameLengthMax, description });

/** Characters of the name of a channel. */
export const { channelNameLengthMax } = contract;

/** A value or null, as one JSON type list. */
export const Nullable = <Schema extends TSchema>(schema: Schema) =>
  Type.Unsafe<Static<Schema> | null>({ ...schema, type: [schema.type, 'null'] });

/** 8-4-4-4-12 hexadecimal digits, any case; answers are in lower case. */
export const Uuid = (description: string) =>
  Type.String({
    pattern: '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$',
    description,
  });

export const DateTime = (description: string) =>
  Type.String({ description, examples: ['2026-01-31T08:00:00.000001Z'] });

/** The commit of this build. */
export const Commit = Type.String({
  description:
    'the commit that this build was made of, `-dirty` behind it where files were changed; unknown if nobody said',
});

/**
 * Refers to a schema that is stored once, under its `$id`, in the validator and in the OpenAPI document. `app.ts`
 * registers these schemas of every room.
 */
export const refer = <Schema extends TSchema>(schema: Schema) =>
  Type.Unsafe<Static<Schema>>({ $ref: `${schema.$id}#`, description: schema.description ?? '' });

const ErrorBody = Type.Object(
  { detail: Type.String() },
  { $id: 'Error', description: 'the request is refused; detail says why' },
);

const ValidationDetail = Type.Object(
  {
    type: Type.String(),
    loc: Type.Array(Type.Unsafe<string | number>({ type: ['string', 'integer'] })),
    msg: Type.String(),
    input: Type.Optional(Type.Unknown()),
  },
  { description: 'one wrong field: where it stands, from the outside in, and why it is refused' },
);

const ValidationBody = Type.Object(
  { detail: Type.Array(ValidationDetail) },
  { $id: 'ValidationError', description: 'the request is not valid; nothing was stored' },
);

/** The schemas to which every room refers. */
export const sharedSchemas = [ErrorBody, ValidationBody];

export const ErrorAnswer = refer(ErrorBody);

const errorAnswers = {
  400: ErrorAnswer,
  404: ErrorAnswer,
  408: ErrorAnswer,
  409: ErrorAnswer,
  413: ErrorAnswer,
  415: ErrorAnswer,
  416: ErrorAnswer,
  422: refer(ValidationBody),
  507: ErrorAnswer,
} as const;

/** Statuses of a route that reads a body. */
export const bodyRefusals = [400, 408, 413, 415, 422] as const;

/** The refusals in the `response` schema of a route: those that are named, and those of every route that needs a key. */
export function refusals<Status extends keyof typeof errorAnswers>(...statuses: Status[]) {
  const chosen = Object.fromEntries(statuses.map((status) => [status, errorAnswers[status]]));
  return { 401: ErrorAnswer, 403: ErrorAnswer, 431: ErrorAnswer, 503: ErrorAnswer, ...chosen } as Record<
    401 | 403 | 431 | 503,
    typeof ErrorAnswer
  > &
    Pick<typeof errorAnswers, Status>;
}
