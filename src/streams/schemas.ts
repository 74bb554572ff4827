import { type Static, Type } from '@sinclair/typebox';
import { contract } from '../contract.ts';
import { Nullable, storableTextPattern, Text, Uuid } from '../http/schemas.ts';
import type { StreamLimits } from './limits.ts';

export const InitializeBody = Type.Object(
  {
    points_per_chunk: Type.Integer({
      minimum: 1,
      maximum: contract.pointsPerChunkMax,
      description: 'points that a chunk nominally holds, fixed for the stream; offsets are multiples of it',
      examples: [100],
    }),
    stream_name: Type.Optional(Nullable(Text({ description: 'name of the run; one is made up when absent or blank' }))),
    synth_source_id: Type.Optional(
      Nullable(
        Type.Integer({ minimum: 1, maximum: 2_147_483_647, description: 'growth instrument of the organization' }),
      ),
    ),
    instrument_type: Type.Optional(Nullable(Text({ description: 'kind of instrument, as the earliest SDK sends it' }))),
    physical_sample_id: Type.Optional(Nullable(Uuid('physical sample to link'))),
    project_id: Type.Optional(Nullable(Uuid('project to link'))),
  },
  { $id: 'InitializeBody', description: 'a new stream' },
);
export type InitializeBody = Static<typeof InitializeBody>;

export const StreamIds = Type.Object(
  {
    data_id: Type.String({ description: 'id of the stream, for chunks, finalize and reading' }),
    processed_data_id: Type.String({ description: 'id of its processed entry' }),
  },
  { $id: 'StreamIds', description: 'the ids of the stream' },
);
export type StreamIds = Static<typeof StreamIds>;

/**
 * Float64 numbers or null, as a list of types. Ajv checks a union as fast, but clients generated from a union are
 * clumsier.
 */
const Readings = (description: string) =>
  Type.Unsafe<(number | null)[]>({ type: 'array', items: { type: ['number', 'null'] }, description });

const channelNameRules = { minLength: 1, maxLength: contract.channelNameLengthMax, pattern: storableTextPattern };

const readings = {
  timestamps: Readings('Unix seconds, at least one; null where there is none'),
  values: Readings('measured values, one for each timestamp; null where there is none'),
  units: Type.Optional(Nullable(Text({ description: 'unit of the values' }))),
};

const address = {
  data_id: Uuid('the stream'),
  chunk_index: Type.Integer({
    minimum: 0,
    maximum: contract.offsetMax,
    description: 'zero-based position of the chunk',
  }),
};

export const ChunkBody = Type.Object(
  {
    ...address,
    channel_name: Type.String({ ...channelNameRules, description: 'any text; kept as it is' }),
    ...readings,
  },
  { $id: 'ChunkBody', description: 'one chunk of one channel' },
);
export type ChunkBody = Static<typeof ChunkBody>;

const Channel = Type.Object(readings);

/** What bounds a body that brings chunks, beside its bytes. */
export type ChunkBodyLimits = Pick<StreamLimits, 'channelsPerRequestMax'>;

export const MultiChunkBody = ({ channelsPerRequestMax }: ChunkBodyLimits) =>
  Type.Object(
    {
      ...address,
      channels: Type.Unsafe<Record<string, Static<typeof Channel>>>({
        type: 'object',
        minProperties: 1,
        maxProperties: channelsPerRequestMax,
        propertyNames: channelNameRules,
        additionalProperties: Channel,
        description: 'channel name to readings; all are stored or none',
      }),
    },
    { $id: 'MultiChunkBody', description: 'the chunks of several channels under one index' },
  );
export type MultiChunkBody = Static<ReturnType<typeof MultiChunkBody>>;

export const RestoreBody = Type.Object(
  {
    channel_name: Type.String({ ...channelNameRules, description: 'the channel' }),
    chunk_index: address.chunk_index,
    revision: Type.Integer({
      minimum: 1,
      maximum: 2_147_483_647,
      description: 'what the chunk held then; 1 is the first',
    }),
  },
  { $id: 'RestoreBody', description: 'a revision of a chunk', additionalProperties: false },
);

export const ChunkReceipt = Type.Object(
  {
    data_id: Type.String(),
    channel_name: Type.String(),
    chunk_index: Type.Integer(),
    total_points: Type.Integer({ description: 'points that are now stored for the channel' }),
  },
  { $id: 'ChunkReceipt', description: 'the chunk is committed' },
);
export type ChunkReceipt = Static<typeof ChunkReceipt>;

/** The schemas that all three prefixes share. */
export const streamSchemas = (limits: ChunkBodyLimits) => [
  InitializeBody,
  StreamIds,
  ChunkBody,
  MultiChunkBody(limits),
  RestoreBody,
  ChunkReceipt,
];
