import { type Static, Type } from '@sinclair/typebox';
import { auditActions } from '../database/audit.ts';
import { DateTime, Nullable, Text, Uuid } from '../http/schemas.ts';
import type { AuditLimits } from './limits.ts';

export const auditFormats = ['json', 'ndjson', 'csv'] as const;

const oneOf = <Value extends string>(values: readonly Value[], description?: string) =>
  Type.Unsafe<Value>({ type: 'string', enum: [...values], ...(description !== undefined && { description }) });

export const AuditQuery = ({ entriesMax, entriesUsual }: Pick<AuditLimits, 'entriesMax' | 'entriesUsual'>) =>
  Type.Object({
    since: Type.Optional(Text({ description: 'entries of this time and later: a date-time, UTC without an offset' })),
    until: Type.Optional(Text({ description: 'entries before this time' })),
    action: Type.Optional(
      Type.Array(oneOf(auditActions), {
        maxItems: auditActions.length,
        description: 'entries of any of these actions',
      }),
    ),
    data_id: Type.Optional(Uuid('entries of this stream, whether it is still there or not')),
    key_id: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: Number.MAX_SAFE_INTEGER,
        description: 'entries of what this key has done, and of what was done to it',
      }),
    ),
    format: Type.Optional(
      oneOf(auditFormats, 'json, in pages; ndjson and csv have all that pass in one file; json when absent'),
    ),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: entriesMax,
        description: `entries of a page at most (entriesMax); ${entriesUsual} when absent`,
      }),
    ),
    cursor: Type.Optional(
      Type.String({ description: '`next_cursor` of the answer before: the entries after it', maxLength: 200 }),
    ),
  });
export type AuditQuery = Static<ReturnType<typeof AuditQuery>>;

const text = (description: string) => Nullable(Type.String({ description }));

const AuditEntry = Type.Object({
  entry_id: Type.String(),
  happened_at: DateTime('when, by the clock of the database'),
  action: Type.String({ description: `one of ${auditActions.join(', ')}` }),
  actor: oneOf(
    ['key', 'operator', 'server', 'stranger'] as const,
    'whoever asked under a key or in its session; a command; the server',
  ),
  key_id: Nullable(Type.Integer({ description: 'the key that it was done with, as `keys list` numbers it' })),
  key_hint: text('what that key begins with'),
  user_name: text('whose key that is; of an operator the account of the system'),
  data_id: text('the stream that it was done to'),
  of_key_id: Nullable(Type.Integer({ description: 'the key that it was done to' })),
  request_id: text('X-Request-Id of the request'),
  address: text('where the request came from'),
  details: Type.Object(
    {},
    { additionalProperties: true, description: 'what else there is to say; its fields depend on the action' },
  ),
});

const AuditList = Type.Object({
  entries: Type.Array(AuditEntry),
  next_cursor: text('where to go on; null when these are the last'),
});
export type AuditList = Static<typeof AuditList>;

const file = (description: string) => ({ schema: { type: 'string', description } });

/** The answer: a page, or a file of all entries. */
export const AuditAnswer = Type.Unsafe<unknown>({
  description: 'entries that pass every filter, newest first',
  content: {
    'application/json': { schema: AuditList },
    'application/x-ndjson': file('an entry in each line'),
    'text/csv': file(
      'one header row; details are JSON; a text that a spreadsheet would take for a formula begins with a quote',
    ),
  },
});
