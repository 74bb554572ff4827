import { type Static, Type } from '@sinclair/typebox';
import { DateTime, Nullable, Uuid } from '../http/schemas.ts';
import { testingLimits as bounds } from './limits.ts';
import type * as wire from './wire.ts';

const strict = { additionalProperties: false };

const match = {
  method: Type.Optional(Type.String({ description: 'GET, POST, …; in any case', minLength: 1 })),
  path: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        'path without the query; `*` stands for anything within one part of it, `**` for any number of parts, `?` for ' +
        'one character',
      examples: ['/*/stream/chunk', '/**/finalize'],
    }),
  ),
  organization_id: Type.Optional(Uuid('only what is sent under a key of this organization')),
  data_id: Type.Optional(Uuid('of the body or the path')),
  channel_name: Type.Optional(Type.String({ description: 'one of the channels of the body' })),
  chunk_index: Type.Optional(Type.Integer({ minimum: 0 })),
};
export const Match = Type.Object(match, { ...strict, description: 'a request matches when all given conditions hold' });

const action = (name: string, schema: object, more: Record<string, object> = {}) =>
  Type.Unsafe<never>({
    type: 'object',
    additionalProperties: false,
    required: [name],
    properties: { [name]: schema, ...more },
  });
const integer = (minimum: number, maximum: number, description: string) => ({
  type: 'integer',
  minimum,
  maximum,
  description,
});

export const Action = Type.Unsafe<wire.Action>(
  Type.Union(
    [
      action('status', integer(200, 599, 'answers with this status instead'), {
        headers: { type: 'object', additionalProperties: { type: 'string' } },
        body: { description: 'a text goes out as it is, anything else as JSON; default {"detail": "…"}' },
      }),
      action('delay_ms', {
        type: 'integer',
        minimum: 0,
        description: `waits, then goes on as if nothing were; at most ${bounds.faultDelayMsMax}`,
      }),
      action('hang', { const: true, description: 'never answers; the connection stays open' }),
      action('reset', { const: true, description: 'cuts the connection (TCP reset) without an answer' }),
      action('truncate_bytes', integer(0, 2 ** 31, 'sends the head and this many bytes of the body, then closes')),
      action('drip_bytes_per_s', integer(1, 2 ** 31, 'sends the body at this rate')),
    ],
    { description: 'what happens to a request that the rule hits: one of these' },
  ),
);

export const FaultBody = Type.Object(
  {
    match: Type.Optional(Match),
    nth: Type.Optional(Type.Integer({ minimum: 1, description: 'only the n-th request that matches' })),
    every: Type.Optional(Type.Integer({ minimum: 1, description: 'every n-th request that matches' })),
    times: Type.Optional(Type.Integer({ minimum: 1, description: 'only the first n requests that match' })),
    probability: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 1,
        description: 'chance of each request that matches; the seed decides the sequence',
      }),
    ),
    when: Type.Optional(
      Type.Unsafe<wire.When>({
        enum: ['before', 'after_commit'],
        description:
          'before: the body is read, nothing is stored. after_commit: the request was carried out with success, and its ' +
          'answer is spoiled. By default before, but after_commit for truncate_bytes and drip_bytes_per_s, which need an answer',
      }),
    ),
    action: Action,
  },
  { ...strict, $id: 'FaultRule', description: 'without nth, every, times and probability every request is hit' },
);

export const Fault = Type.Object(
  {
    id: Type.Integer(),
    rule: Type.Unsafe<wire.FaultBody>({ $ref: 'FaultRule#' }),
    matched: Type.Integer({ description: 'requests that the match fits, since the rule was made' }),
    hit: Type.Integer({ description: 'requests to which the action was done' }),
  },
  { $id: 'Fault', description: 'a rule and how often it was hit' },
);

export const JournalQuery = Type.Object(
  {
    ...match,
    status: Type.Optional(Type.Integer({ description: 'status that was answered' })),
    faulty: Type.Optional(Type.Boolean({ description: 'whether a rule of faults has hit it' })),
    after: Type.Optional(Type.Integer({ minimum: 0, description: 'only requests with a higher number' })),
    count: Type.Optional(Type.Integer({ minimum: 1, description: 'waits until this many have arrived' })),
    wait_s: Type.Optional(
      Type.Number({
        minimum: 0,
        description: `longest wait for \`count\`; default 5, at most ${bounds.waitSecondsMax}`,
      }),
    ),
  },
  strict,
);

export const JournalEntry = Type.Object({
  number: Type.Integer({ description: 'requests are counted from 1 as they arrive' }),
  at: DateTime('when it arrived, by the clock of the server'),
  organization_id: Nullable(Type.String({ description: 'of the key; null when none was accepted' })),
  method: Type.String(),
  path: Type.String(),
  query: Type.Unknown({ description: 'its parameters; one that came more than once is a list' }),
  headers: Type.Unknown({ description: 'names in lower case; of the API key only the beginning' }),
  body: Type.Unknown({ description: 'the JSON that was sent; null when none came or it could not be read' }),
  status: Nullable(
    Type.Integer({ description: 'status of the answer; null while there is none, and if there never was one' }),
  ),
  duration_ms: Nullable(Type.Number({ description: 'until the answer was sent or the connection ended' })),
  is_complete: Type.Boolean({ description: 'whether the answer went out whole' }),
  fault: Type.Unsafe<{ id: number; action: wire.Action } | null>({
    type: ['object', 'null'],
    additionalProperties: true,
    description: 'the rule that has hit it: id and action',
  }),
});

export const JournalAnswer = Type.Object(
  {
    requests: Type.Array(JournalEntry),
    dropped: Type.Integer({
      description: `requests that are not kept any more, since there were more than ${bounds.journalRequestsMax} or more than ${bounds.journalBytesMax} bytes`,
    }),
    has_count: Type.Boolean({ description: 'false when fewer than `count` have come' }),
  },
  { $id: 'Journal', description: 'what has arrived, in order' },
);

export const ClockBody = Type.Object(
  {
    at: Type.Optional(DateTime('the time that it is to be now')),
    advance_s: Type.Optional(Type.Number({ description: 'seconds to move on, from where the clock stands now' })),
    offset_s: Type.Optional(Type.Number({ description: 'seconds from the true time' })),
  },
  { ...strict, minProperties: 1, maxProperties: 1 },
);
export type ClockBody = Static<typeof ClockBody>;
export const Clock = Type.Object(
  { now: DateTime("the server's time"), offset_s: Type.Number({ description: 'from the true time' }) },
  { $id: 'Clock', description: 'what time it is; it runs on from there' },
);

export const OrganizationBody = Type.Object(
  {
    name: Type.Optional(Type.String({ minLength: 1, maxLength: 255, description: 'default test-1, test-2, …' })),
    scopes: Type.Optional(
      Type.Array(Type.Unsafe<'read'>({ enum: ['read', 'write', 'delete', 'admin'] }), { minItems: 1 }),
    ),
    key_expires_in_s: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
  },
  strict,
);
export type OrganizationBody = Static<typeof OrganizationBody>;
export const MadeOrganization = Type.Object(
  { organization_id: Type.String(), name: Type.String(), api_key: Type.String() },
  { $id: 'Organization', description: 'an organization of its own, which sees nothing of others' },
);

/** Makes the compiler check that the schemas equal the types that clients get. */
type Same<Schema, Wire> = [Schema] extends [Wire] ? ([Wire] extends [Schema] ? true : never) : never;
export const schemasAreOfWire: [
  Same<Static<typeof Match>, wire.Match>,
  Same<Static<typeof FaultBody>, wire.FaultBody>,
  Same<Static<typeof Fault>, wire.Fault>,
  Same<Static<typeof JournalQuery>, wire.JournalQuery>,
  Same<Static<typeof JournalEntry>, wire.JournalEntry>,
] = [true, true, true, true, true];
