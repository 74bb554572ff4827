import { Type } from '@sinclair/typebox';
import { channelNameLengthMax, DateTime, Nullable } from '../http/schemas.ts';
import type { TimeseriesLimits } from './limits.ts';

const windowFields = {
  last_n: Type.Optional(Type.Integer({ minimum: 1, description: 'only the newest points, so many' })),
  elapsed_seconds: Type.Optional(
    Type.Number({ description: 'only points whose relative time in seconds is at least this' }),
  ),
  property_names: Type.Optional(
    Type.Array(Type.String(), { description: 'only these properties, named as the answer names them; repeated' }),
  ),
};

const Instant = (description: string) =>
  Type.String({ minLength: 1, maxLength: 40, description: `${description}; ISO 8601, or Unix seconds` });

export const TimeseriesQuery = ({ downSampledPointsMin, downSampledPointsMax }: TimeseriesLimits) =>
  Type.Object({
    ...windowFields,
    start: Type.Optional(Instant('only points at this time or later')),
    end: Type.Optional(Instant('only points at this time or earlier')),
    max_points: Type.Optional(
      Type.Integer({
        minimum: downSampledPointsMin,
        maximum: downSampledPointsMax,
        description:
          'at most this many points of each property: all of them, or the smallest and the largest of parts that hold about as many points each; a null stands between points where chunks are missing',
      }),
    ),
    carry_in: Type.Optional(
      Type.Boolean({
        description:
          'also the last point of each property before the window, with its own time, for channels that are logged on change; ' +
          'beside last_n and max_points',
      }),
    ),
    available_properties: Type.Optional(Type.Boolean({ description: 'names and units only, no data' })),
    return_null_if_missing: Type.Optional(Type.Boolean({ description: 'null instead of 404 for an unknown data_id' })),
  });

export const StatisticsQuery = Type.Object({
  start: Type.Optional(Instant('only points at this time or later')),
  end: Type.Optional(Instant('only points at this time or earlier')),
  property_names: windowFields.property_names,
});

export const RheedQuery = Type.Object({
  ...windowFields,
  include_low_level_features: Type.Optional(Type.Boolean({ description: 'has no meaning here and is ignored' })),
});

const chunkIndex = (description: string) =>
  Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description }));

export const PointsQuery = Type.Object({
  channel: Type.String({ minLength: 1, maxLength: channelNameLengthMax, description: 'the channel_name' }),
  from_chunk: chunkIndex('the first chunk_index wanted'),
  to_chunk: chunkIndex('the last chunk_index wanted'),
  last_n: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: Number.MAX_SAFE_INTEGER,
      description:
        'only the newest points, so many, by chunk_index and their place in the chunk, whatever their timestamps say; not ' +
        'with carry_in',
    }),
  ),
  carry_in: Type.Optional(
    Type.Boolean({
      description: 'also the last point of the nearest chunk below from_chunk, as a chunk with carried_in',
    }),
  ),
});

const Reading = Nullable(Type.Number());

export const PropertyArrays = Type.Object(
  {
    values: Type.Array(Reading, { description: 'readings, null where one is absent' }),
    relative_time_seconds: Type.Array(Type.Number()),
    unix_timestamp_ms: Type.Array(Type.Number(), {
      description:
        'ascending, no two the same; whole numbers, except that with max_points points that share a ms have fractions',
    }),
    units: Nullable(Type.String()),
  },
  { description: 'three arrays of the same length' },
);

export const SeriesRow = Type.Object(
  { unix_timestamp_ms: Type.Number(), relative_time_seconds: Type.Number() },
  { additionalProperties: Reading, description: 'one instant, with the properties that have a reading there' },
);

export const PropertyGap = Type.Object(
  {
    from_chunk: Type.Integer({ description: 'the first chunk_index that is missing' }),
    to_chunk: Type.Integer({ description: 'the last one' }),
    data_ends_unix_timestamp_ms: Nullable(
      Type.Integer({ description: 'the last point before the gap; null when there is none' }),
    ),
    data_begins_unix_timestamp_ms: Nullable(
      Type.Integer({
        description: 'the first point after it; not above the other where the chunks on both sides overlap in time',
      }),
    ),
  },
  { description: 'chunks that are missing, although a later one is stored' },
);

const timeseriesFields = {
  data_id: Type.String(),
  series_max_time: Nullable(Type.Number({ description: 'relative time of the newest point of the stream' })),
  property_units: Type.Record(Type.String(), Nullable(Type.String())),
  available_property_names: Type.Array(Type.String()),
  properties: Type.Record(Type.String(), PropertyArrays),
  down_sampled: Type.Optional(
    Type.Record(Type.String(), Type.Boolean(), {
      description: 'by property, whether points are left out; only where max_points was given',
    }),
  ),
  gaps: Type.Optional(
    Type.Record(Type.String(), Type.Array(PropertyGap), {
      description: 'by property; only where max_points was given',
    }),
  ),
  carried_in: Type.Optional(
    Type.Record(Type.String(), Nullable(Type.Integer()), {
      description:
        'by property, the unix_timestamp_ms of its first point where that is from before the window, else null; only with carry_in',
    }),
  ),
};

const OrNull = (schema: ReturnType<typeof Type.Object>, description: string) =>
  Type.Union([schema, Type.Null()], { description });

export const ToolStateAnswer = OrNull(Type.Object(timeseriesFields), 'the time series by property');

export const TimeseriesAndRows = Type.Object({ ...timeseriesFields, series: Type.Array(SeriesRow) });

export const MetrologyAnswer = OrNull(TimeseriesAndRows, 'the time series by property, and again by row');

const Figure = (description: string) => Nullable(Type.Number({ description }));

const PropertyStatistics = Type.Object({
  count: Type.Integer({ description: 'readings' }),
  absent_count: Type.Integer({ description: 'points without a reading' }),
  mean: Figure('of the readings'),
  standard_deviation: Figure('divided by their number, as numpy.std and stddev_pop do'),
  sample_standard_deviation: Figure('divided by their number less one, as stddev does; null below two'),
  minimum: Figure('the smallest reading'),
  minimum_unix_timestamp_ms: Nullable(Type.Integer({ description: 'when that was; of equal ones any' })),
  maximum: Figure('the largest reading'),
  maximum_unix_timestamp_ms: Nullable(Type.Integer({ description: 'when that was; of equal ones any' })),
  units: Nullable(Type.String()),
});

export const StatisticsAnswer = Type.Object(
  {
    data_id: Type.String(),
    properties: Type.Record(Type.String(), PropertyStatistics),
  },
  {
    description:
      'by property, of all stored points that have a possible time and lie in the window, also of those that share a ms; null where there is no reading, or a sum is beyond float64',
  },
);

export const RheedAnswer = Type.Object(
  { series_by_angle: Type.Array(Type.Object({ angle: Type.Number(), series: Type.Array(SeriesRow) })) },
  { description: 'one block with all rows, or none' },
);

export const StagedAnswer = Type.Array(
  Type.Object({
    timeseries_id: Type.String({ description: 'id of the channel' }),
    data_id: Type.String(),
    system: Nullable(Type.String({ description: 'growth instrument of the stream, or the kind of it' })),
    version: Nullable(Type.String({ description: 'not known here' })),
    name: Type.String({ description: 'the channel_name' }),
    unit: Nullable(Type.String()),
    component: Nullable(Type.String({ description: 'not known here' })),
    unix_times: Type.Array(Type.Integer(), { description: 'ms, ascending, no two the same' }),
    values: Type.Array(Reading, { description: 'readings, null where one is absent' }),
    last_updated: DateTime('when a chunk of the channel was last stored or replaced'),
  }),
  { description: 'the channels that hold points, by name' },
);

export const PointsAnswer = Type.Object(
  {
    data_id: Type.String(),
    channel_name: Type.String(),
    units: Nullable(Type.String()),
    points_per_chunk: Type.Integer(),
    point_count: Type.Integer({ description: 'points stored for the channel' }),
    chunks: Type.Array(
      Type.Object({
        chunk_index: Type.Integer(),
        start_offset: Type.Integer(),
        units: Nullable(Type.String()),
        timestamps: Type.Array(Reading, { description: 'seconds, as they were sent' }),
        values: Type.Array(Reading),
        carried_in: Type.Optional(
          Type.Boolean({
            description: 'true: the last point only, of the chunk before from_chunk; only with carry_in',
          }),
        ),
      }),
    ),
  },
  { description: 'the stored chunks in order of chunk_index, every float64 with the bits it was sent with' },
);
