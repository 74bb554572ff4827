import { Type } from '@sinclair/typebox';
import { DateTime, Nullable, Uuid } from '../http/schemas.ts';
import type { LiveLimits } from './limits.ts';
import type { EventStatus } from './run-facts.ts';

const followFields = ({ secondsMax }: LiveLimits) => ({
  after: Type.Optional(
    Type.String({
      pattern: '^[0-9]{1,16}$',
      description: 'the id of the last event that the client has read; the header Last-Event-ID takes precedence',
    }),
  ),
  max_seconds: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: secondsMax,
      description: 'after this time the connection is ended in order; 0: only the present state is sent',
    }),
  ),
});

export const LiveQuery = (limits: LiveLimits) => Type.Object(followFields(limits));

export const LiveOfSeveralQuery = (limits: LiveLimits) =>
  Type.Object({
    data_id: Type.Optional(
      Type.Array(Uuid('a stream'), {
        minItems: 1,
        maxItems: limits.runsPerSubscriberMax,
        description: 'runs to follow; repeated. Without any, the list of runs is followed',
      }),
    ),
    ...followFields(limits),
  });

const events = (description: string) =>
  Type.Unsafe<unknown>({ description, content: { 'text/event-stream': { schema: event } } });

const event = {
  type: 'object',
  description: 'each of the events',
  properties: {
    id: { type: 'string', description: 'where to continue: send it as Last-Event-ID or after' },
    event: { type: 'string', enum: ['channels', 'status', 'run'] },
    data: { type: 'string', description: 'JSON' },
    retry: { type: 'integer', description: 'ms to wait before connecting again' },
  },
};

const statuses = ['live', 'interrupted', 'finalized'];
const Status = Type.Unsafe<EventStatus>({ type: 'string', enum: [...statuses, 'deleted'] });

/** Data of the event `channels`. */
export const ChannelsEvent = Type.Object({
  data_id: Type.String(),
  channels: Type.Array(
    Type.Object({
      channel_name: Type.String(),
      units: Nullable(Type.String()),
      chunk_count: Type.Integer(),
      point_count: Type.Integer(),
      last_chunk_index: Type.Integer(),
      changed_at: Type.String(),
      span: Nullable(Type.Array(Type.Number(), { minItems: 2, maxItems: 2 })),
      latest: Type.Union([Type.Object({ timestamp: Type.Number(), value: Nullable(Type.Number()) }), Type.Null()]),
    }),
  ),
  status: Type.String({ enum: statuses }),
});

/** Data of the event `status`. */
export const StatusEvent = Type.Object({ data_id: Type.String(), status: Status });

/** Data of the event `run`. */
export const RunEvent = Type.Object({
  data_id: Type.String(),
  point_count: Type.Integer(),
  last_chunk_at: Nullable(Type.String()),
  status: Status,
  missing_chunk_count: Type.Integer(),
  /** From its first to its last time. */
  seconds: Nullable(Type.Number()),
});

const eventsOfRun =
  '`channels`: the channels of a run that have changed, first all of them: {"data_id","channels":[{"channel_name","units",' +
  '"chunk_count","point_count","last_chunk_index","changed_at","span":[from_ms,to_ms]|null,"latest":{"timestamp","value"}|null}],' +
  '"status"}, where span holds the times of all that has changed since the event before. `status`: {"data_id","status"}, of ' +
  'live, interrupted, finalized, deleted';

export const RunEvents = events(`server-sent events, each with an id to continue from. ${eventsOfRun}`);

export const SeveralEvents = events(
  `server-sent events, each with an id to continue from. Of the runs that are named: ${eventsOfRun}. Of the list of runs: ` +
    '`run`: {"data_id","point_count","last_chunk_at","status","missing_chunk_count","seconds"} of each that has changed, ' +
    'first of all that are live',
);

export const LatestAnswer = Type.Object(
  {
    data_id: Type.String(),
    status: Type.String({ enum: statuses }),
    channels: Type.Array(
      Type.Object({
        channel_name: Type.String(),
        units: Nullable(Type.String({ description: 'unit of the highest chunk that has one' })),
        timestamp: Nullable(
          Type.Number({ description: 'Unix seconds, the latest of the channel; null without any possible time' }),
        ),
        value: Nullable(Type.Number({ description: 'the reading at that time; null where it is absent' })),
        chunk_index: Nullable(Type.Integer({ description: 'the chunk that holds it' })),
        point_count: Type.Integer(),
        chunk_count: Type.Integer(),
        changed_at: DateTime('when a chunk was last stored or replaced, as events say it'),
      }),
      { description: 'channels that hold chunks, in the order of the UTF-8 bytes of their names' },
    ),
  },
  { description: 'the newest reading of every channel, by its time' },
);
