import { type TSchema, Type } from '@sinclair/typebox';
import { contract } from '../contract.ts';
import { DataIdPath } from '../http/data-id.ts';
import { DateTime, Nullable, Text } from '../http/schemas.ts';
import type { LedgerLimits } from './limits.ts';

export const RevisionPath = Type.Object({
  ...DataIdPath('the stream').properties,
  revision: Type.String({ pattern: '^[1-9][0-9]{0,9}$', description: '1 is what the chunk held first' }),
});

const channelName = (description: string) =>
  Text({ minLength: 1, maxLength: contract.channelNameLengthMax, description });
const channelNames = ({ namedChannelsMax }: LedgerLimits) =>
  Type.Optional(
    Type.Array(channelName('a channel_name'), {
      maxItems: namedChannelsMax,
      description: 'only these channels; repeated. One that holds no chunk is left out of the answer',
    }),
  );
const chunkIndex = Type.Integer({ minimum: 0, maximum: contract.offsetMax, description: 'the chunk' });

export const LedgerQuery = (limits: LedgerLimits) =>
  Type.Object({
    channel_name: channelNames(limits),
    content_hashes: Type.Optional(Type.Boolean({ description: 'also the content hash of every chunk' })),
    marks: Type.Optional(
      Type.Boolean({ description: 'also which chunks were replaced, and which came after the stream was finalized' }),
    ),
  });

export const RevisionsQuery = (limits: LedgerLimits) =>
  Type.Object({ channel_name: channelNames(limits), chunk_index: Type.Optional(chunkIndex) });

export const RevisionQuery = Type.Object({ channel_name: channelName('the channel'), chunk_index: chunkIndex });

const Hash = (description: string) => Type.String({ description: `${description}, 64 hexadecimal digits` });
const Count = (description: string) => Type.Integer({ description });

const Ranges = (description: string) =>
  Type.Array(Type.Array(Type.Integer(), { minItems: 2, maxItems: 2 }), {
    description: `${description}: first and last chunk_index of each run, in order`,
  });

export const IrregularRun = Type.Object({
  chunk_index: Type.Integer({ description: 'the first chunk of the run' }),
  last_chunk_index: Type.Integer({ description: 'the last one' }),
  chunk_count: Type.Integer({ description: 'stored chunks from the first to the last' }),
  point_count: Type.Integer({ description: 'points of these chunks together' }),
  irregularities: Type.Array(Type.String(), {
    description:
      'short: fewer points than usual_point_counts; long: more than these and than points_per_chunk; not_ascending: a ' +
      'timestamp steps back, is null or no possible time; overlapping: it begins before the chunk before it ends; ' +
      'time_jump: there is more than a day before it or inside it, and a hundred times as much as between the points of ' +
      'its neighbours; times_in_ms, times_in_us, times_in_ns: its first timestamp that is no plausible Unix seconds is ' +
      'one in that unit; implausible_times: it is one in none of them',
  }),
});

const Irregular = Type.Array(IrregularRun, {
  description:
    'stored chunks that are not as they should be: those that follow each other and are so in the same ways are one run; a ' +
    'last chunk that is short is normal, and is listed',
});

export const MarkedRun = Type.Object({
  from_chunk: Type.Integer(),
  to_chunk: Type.Integer(),
  time_min: Nullable(Type.Number({ description: 'Unix seconds of their earliest point' })),
  time_max: Nullable(Type.Number({ description: 'Unix seconds of their latest point' })),
});

const Marked = (description: string) =>
  Type.Array(MarkedRun, { description: `${description}; runs of neighbours, in order` });

const channelFields = {
  channel_name: Type.String(),
  units: Nullable(Type.String({ description: 'unit of the highest chunk that has one' })),
  chunk_count: Count('chunks that are stored'),
  highest_chunk_index: Type.Integer(),
  missing_count: Count('chunks below the highest one that are not stored and should be'),
  missing: Ranges(
    'chunks below the highest one that are not stored and should be, by the steps of the index beside them',
  ),
  skipped_count: Count(
    'indexes below the highest one that hold no chunk because the channel regularly leaves out indexes there',
  ),
  usual_point_counts: Type.Array(Type.Integer(), {
    minItems: 2,
    maxItems: 2,
    description:
      'the fewest and the most points that many of its chunks have; points_per_chunk twice, where no number of points is common',
  }),
  irregular: Irregular,
  point_count: Count('points of all its chunks'),
  null_count: Count('readings that are null'),
};

export const LedgerAnswer = Type.Object(
  {
    data_id: Type.String(),
    stream_name: Type.String(),
    points_per_chunk: Type.Integer(),
    finalized_at: Nullable(DateTime('when the stream was finalized')),
    channels: Type.Array(
      Type.Object({
        ...channelFields,
        present: Ranges('chunks that are stored'),
        first_stored_at: DateTime('when the first of its chunks was stored'),
        last_changed_at: DateTime('when a chunk was last stored or replaced'),
        replaced_count: Count('how often a chunk was replaced by another content'),
        replaced: Type.Optional(Marked('with marks=true only: chunks that hold another content than they did first')),
        late: Type.Optional(
          Marked('with marks=true only: chunks that were stored or replaced after the stream was finalized'),
        ),
        chunks: Type.Optional(
          Type.Array(Type.Object({ chunk_index: Type.Integer(), content_hash: Hash('SHA-256 of the content') }), {
            description: 'with content_hashes=true only',
          }),
        ),
      }),
      { description: 'channels that hold chunks, in the order of the UTF-8 bytes of their names' },
    ),
  },
  { description: 'which chunks are stored and which are missing; each channel as it stands at one moment' },
);

const lateCount = Count('chunks that were stored or replaced after the stream was finalized');

export const CertificateAnswer = Type.Object(
  {
    data_id: Type.String(),
    stream_name: Type.String(),
    points_per_chunk: Type.Integer(),
    instrument_type: Nullable(Type.String()),
    synth_source_id: Nullable(Type.Integer()),
    physical_sample_id: Nullable(Type.String()),
    project_id: Nullable(Type.String()),
    created_at: DateTime('when the stream was opened'),
    finalized_at: Nullable(DateTime('when the stream was finalized')),
    certified_at: DateTime("when the certificate was begun, by the database's clock"),
    channels: Type.Array(
      Type.Object({
        ...channelFields,
        irregular_count: Count('chunks that are irregular'),
        time_min: Nullable(Type.Number({ description: 'Unix seconds of the earliest point' })),
        time_max: Nullable(Type.Number({ description: 'Unix seconds of the latest point' })),
        ascending: Type.Boolean({ description: 'no chunk is not_ascending or overlapping' }),
        units_changes: Count('how often a chunk has another unit than the chunks before it'),
        late_chunk_count: lateCount,
        last_late_at: Nullable(DateTime('when the last of those was stored or replaced')),
        channel_hash: Hash('SHA-256 over index and content hash of its chunks'),
      }),
      { description: 'channels that hold chunks, in the order of the UTF-8 bytes of their names' },
    ),
    channel_count: Type.Integer(),
    ...{ chunk_count: Type.Integer(), missing_count: Type.Integer(), skipped_count: Type.Integer() },
    irregular_count: Type.Integer(),
    ...{ point_count: Type.Integer(), null_count: Type.Integer() },
    late_chunk_count: lateCount,
    root_hash: Hash('SHA-256 over names and hashes of the channels'),
  },
  {
    description: 'what the stream holds and lacks, with a hash over all of it; each channel as it stands at one moment',
  },
);

const Who = (description: string) =>
  Type.Object(
    {
      key_hint: Nullable(Type.String({ description: 'beginning of the API key' })),
      user_name: Nullable(Type.String()),
    },
    { description },
  );

const revisionFields = {
  channel_name: Type.String(),
  chunk_index: Type.Integer(),
  revision: Type.Integer({ description: '1 is what the chunk held first' }),
  stored_at: DateTime('when this content was stored'),
  stored_by: Who('who had stored it'),
  replaced_at: DateTime('when it was replaced'),
  replaced_by: Who('who replaced it'),
  content_hash: Hash('SHA-256 of this content'),
  replacing_hash: Hash('SHA-256 of what replaced it'),
  point_count: Type.Integer(),
  null_count: Type.Integer(),
  units: Nullable(Type.String()),
};

export const RevisionOfChunk = Type.Object(revisionFields);

export const RevisionsAnswer = Type.Object(
  { data_id: Type.String(), revisions: Type.Array(RevisionOfChunk) },
  { description: 'by channel in the order of their first use, then by chunk_index, then by revision' },
);

const Readings = (description: string): TSchema => Type.Array(Nullable(Type.Number()), { description });

export const RevisionAnswer = Type.Object(
  {
    data_id: Type.String(),
    ...revisionFields,
    timestamps: Readings('Unix seconds, as they were sent'),
    values: Readings('readings, as they were sent'),
  },
  { description: 'what the chunk held, every float64 with the bits it was sent with' },
);
