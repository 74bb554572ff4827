import { type Static, Type } from '@sinclair/typebox';
import { DateTime, Nullable, Text, Uuid } from '../../http/schemas.ts';
import type { CatalogueLimits } from '../limits.ts';
import { InstrumentId } from '../schemas.ts';

export const runStatuses = ['live', 'interrupted', 'finalized'] as const;

type RunLimits = Pick<CatalogueLimits, 'runsMax' | 'runsUsual' | 'runFilterValuesMax'>;

export const RunQuery = ({ runsMax, runsUsual, runFilterValuesMax: maxItems }: RunLimits) => {
  const ids = (description: string) => Type.Optional(Type.Array(Uuid('id'), { maxItems, description }));
  const namesOrIds = (description: string) =>
    Type.Optional(Type.Array(Text({ minLength: 1 }), { maxItems, description }));
  return Type.Object({
    search: Type.Optional(
      Text({
        description:
          'runs that all of these words describe, in any order: in the names of the run, its owner, sample, projects, ' +
          'instrument, tags and channels, without regard to case and to how a character is encoded; or that begin one of its ' +
          'ids with at least 8 characters. As `keywords` of GET /data_entries/',
      }),
    ),
    status: Type.Optional(
      Type.Unsafe<'live' | 'ended'>({
        type: 'string',
        enum: ['live', 'ended'],
        description: 'live: open, and heard of within STREAM_IDLE_SECONDS; ended: the others',
      }),
    ),
    sample_id: ids('runs of any of these samples'),
    project_id: ids('runs of any of these projects, by themselves or by their sample'),
    instrument: namesOrIds('runs of any of these instruments, by synth_source_id or name'),
    tag: namesOrIds('runs with any of these tags, by id or name'),
    user: namesOrIds('runs that any of these users has opened, by id or name'),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: runsMax,
        description: `runs of the answer at most (runsMax); ${runsUsual} when absent`,
      }),
    ),
    cursor: Type.Optional(
      Type.String({ description: '`next_cursor` of the answer before: the runs after it', maxLength: 200 }),
    ),
  });
};
export type RunQuery = Static<ReturnType<typeof RunQuery>>;

const Named = Type.Object({ id: Type.String(), name: Type.String() });
const named = (description: string) =>
  Type.Unsafe<Static<typeof Named> | null>({ ...Named, type: ['object', 'null'], description });
const NamedInstrument = Type.Object({ id: InstrumentId('synth_source_id'), name: Type.String() });

export const Run = Type.Object({
  data_id: Type.String(),
  name: Type.String(),
  status: Type.Unsafe<(typeof runStatuses)[number]>({
    type: 'string',
    enum: [...runStatuses],
    description: 'interrupted: open, and not heard of for STREAM_IDLE_SECONDS',
  }),
  created_at: DateTime('when it was opened'),
  started_at: Nullable(
    DateTime('its first timestamp; null without one, and where it is no date of the years 1 to 9999'),
  ),
  last_chunk_at: Nullable(DateTime('when a chunk of it was last stored or replaced')),
  finalized_at: Nullable(DateTime('when it was finalized')),
  seconds: Nullable(Type.Number({ description: 'from its first to its last timestamp' })),
  channel_count: Type.Integer(),
  point_count: Type.Integer(),
  missing_chunk_count: Nullable(
    Type.Integer({
      description: 'chunks that are not there below the highest of their channel; null of a run with too many channels',
    }),
  ),
  sample: named('the physical sample'),
  project: named("the run's own project, else the first by name of those of its sample"),
  instrument: Type.Unsafe<Static<typeof NamedInstrument> | null>({ ...NamedInstrument, type: ['object', 'null'] }),
  tags: Type.Array(Type.String()),
  user: Type.String({ description: 'who opened it' }),
});
export type Run = Static<typeof Run>;

export const RunList = ({ runsCountedMax }: Pick<CatalogueLimits, 'runsCountedMax'>) =>
  Type.Object({
    runs: Type.Array(Run),
    next_cursor: Nullable(
      Type.String({
        description:
          'where to go on; null when these are the last. An answer may have fewer runs than its limit, even none, and go on: a ' +
          'request looks through a bounded number of runs',
      }),
    ),
    total: Nullable(
      Type.Integer({
        description:
          'how many runs there are in all that pass; null behind a cursor, in a search that goes on, and beyond ' +
          `${runsCountedMax.toLocaleString('en-US')} (runsCountedMax)`,
      }),
    ),
  });
