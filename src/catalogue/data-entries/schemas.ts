import { type Static, Type } from '@sinclair/typebox';
import { DateTime, Nullable, Text, Uuid } from '../../http/schemas.ts';
import type { CatalogueLimits } from '../limits.ts';
import { LinkedIds, ProjectReference } from '../schemas.ts';

/** The types that this server holds. Both mean the same set: older SDKs say metrology, newer ones tool_state. */
export const heldDataTypes = ['metrology', 'tool_state'] as const;

/** The other types of the API. This server has none of them, so a search for one finds nothing. */
export const otherDataTypes = [
  'rheed',
  'rheed_image',
  'rheed_stationary',
  'rheed_rotating',
  'rheed_xscan',
  'xps',
  'xrd',
  'photoluminescence',
  'pl',
  'raman',
  'recipe',
  'optical',
  'ellipsometry',
] as const;

export type DataType = (typeof heldDataTypes)[number] | (typeof otherDataTypes)[number];

export const statuses = [
  'all',
  'success',
  'pending',
  'error',
  'running',
  'stream_active',
  'stream_interrupted',
  'stream_finalizing',
  'stream_error',
] as const;

const Seconds = (description: string) => Type.Optional(Type.Number({ description }));
const Time = (description: string) =>
  Type.Optional(
    Type.String({
      description: `${description}, inclusive; ISO 8601 or with a space, UTC where no offset is given`,
      examples: ['2026-01-31 08:00:00'],
    }),
  );
const Ids = (description: string, maxItems: number) => Type.Optional(Type.Array(Uuid('id'), { maxItems, description }));

/** Limits on the values of one search. */
export type SearchLimits = Pick<CatalogueLimits, 'searchKeywordsMax' | 'searchIdsMax'>;

export const DataEntryQuery = ({ searchKeywordsMax, searchIdsMax }: SearchLimits) =>
  Type.Object({
    keywords: Type.Optional(
      Type.Array(Text(), {
        maxItems: searchKeywordsMax,
        description:
          'entries that any of them describes: all of its words, in any order, are in the names of the entry, its owner, ' +
          'sample, projects, instrument, tags and channels, without regard to case and to how a character is encoded; or ' +
          'begin one of its ids with at least 8 characters',
      }),
    ),
    include_organization_data: Type.Optional(
      Type.Boolean({ description: "false: only the caller's own entries; true when absent" }),
    ),
    data_ids: Ids('only these entries', searchIdsMax),
    physical_sample_ids: Ids('only entries of these samples', searchIdsMax),
    project_ids: Ids('only entries of these projects, by themselves or by their sample', searchIdsMax),
    data_type: Type.Optional(
      Type.Unsafe<DataType>({
        type: 'string',
        enum: [...heldDataTypes, ...otherDataTypes],
        description: 'metrology and tool_state are the same; the other types exist elsewhere only and find nothing',
      }),
    ),
    status: Type.Optional(Type.Unsafe<(typeof statuses)[number]>({ type: 'string', enum: [...statuses] })),
    growth_length_min: Seconds('seconds; leaves out entries without a length'),
    growth_length_max: Seconds('seconds; leaves out entries without a length'),
    upload_datetime_min: Time('earliest upload'),
    upload_datetime_max: Time('latest upload'),
    last_updated_min: Time('earliest last change'),
    last_updated_max: Time('latest last change'),
    last_accessed_datetime_min: Time('what older SDKs call last_updated_min'),
    last_accessed_datetime_max: Time('what older SDKs call last_updated_max'),
    include_orphans: Type.Optional(
      Type.Boolean({
        description:
          'also list open streams that hold no data and are older than STREAM_IDLE_SECONDS; false when absent, true where ' +
          'data_ids names them',
      }),
    ),
  });

export type DataEntryQuery = Static<ReturnType<typeof DataEntryQuery>>;

const FileMetadata = Type.Object({
  points_per_chunk: Type.Integer(),
  instrument_type: Nullable(Type.String()),
  processed_data_id: Nullable(Type.String()),
  finalized_at: Nullable(Type.String()),
  channel_count: Type.Integer(),
  chunk_count: Type.Integer(),
  point_count: Type.Integer(),
});

const text = Nullable(Type.String());

/** Every row has all of the keys: the SDK's search crashes when rows have different keys. */
export const DataEntry = Type.Object({
  data_id: Type.String(),
  raw_name: Type.String({ description: 'name of the stream' }),
  char_source_type: Type.Unsafe<(typeof heldDataTypes)[number]>({ type: 'string', enum: [...heldDataTypes] }),
  pipeline_status: Type.String({
    description:
      'stream_active, stream_interrupted after STREAM_IDLE_SECONDS without a chunk, success once finalized; or what a ' +
      'person has said of it',
  }),
  raw_file_type: Type.String(),
  processed_file_type: text,
  bucket_file_name: text,
  synth_source_id: Nullable(Type.Integer()),
  source_name: text,
  sample_id: Nullable(Type.Integer()),
  sample_name: text,
  physical_sample_id: text,
  physical_sample_name: text,
  projects: Type.Array(ProjectReference, { description: "the entry's own project first, then those of its sample" }),
  growth_length: Nullable(Type.Number({ description: 'seconds from the first to the last timestamp' })),
  upload_datetime: DateTime('when the stream was opened'),
  last_updated: DateTime('when the entry or a point of it was last changed'),
  last_accessed_datetime: DateTime('the same as last_updated, under the name of older SDKs'),
  collected_datetime: Nullable(DateTime('first timestamp; null where it is no date of the years 1 to 9999')),
  detail_note_content: text,
  detail_note_last_updated: Nullable(DateTime('when the note was last changed; null without one')),
  file_metadata: FileMetadata,
  tags: Type.Array(Type.String()),
  user_id: Type.String(),
  name: Type.String({ description: 'who opened the stream' }),
  workspaces: Type.Array(Type.String()),
  sha3_256: text,
  has_instrument_logs: Type.Boolean(),
});

export const DataEntryDeletion = (limits: CatalogueLimits) =>
  Type.Object({
    data_ids: LinkedIds('entries to delete; those that are not there are not in the answer', limits),
    permanent: Type.Optional(Type.Boolean({ description: 'remove them with all their data, deleted before or not' })),
  });

export const DataEntryRestoration = (limits: CatalogueLimits) =>
  Type.Object({ data_ids: LinkedIds('deleted entries to restore', limits) }, { additionalProperties: false });

export const ChangedIds = (description: string) => Type.Array(Type.String(), { description });

export const DataEntryChange = ({ noteCharactersMax }: Pick<CatalogueLimits, 'noteCharactersMax'>) =>
  Type.Object({
    raw_name: Type.Optional(Text({ minLength: 1, description: 'name of the stream; not blank' })),
    detail_note_content: Type.Optional(
      Nullable(Text({ maxLength: noteCharactersMax, description: 'what a person notes; null, or blank, for no note' })),
    ),
    pipeline_status: Type.Optional(
      Type.Unsafe<Exclude<(typeof statuses)[number], 'all'> | null>({
        type: ['string', 'null'],
        enum: [...statuses.filter((status) => status !== 'all'), null],
        description: "what the entry shows from now on, whatever the stream does; null for the server's own word again",
      }),
    ),
    char_source_type: Type.Optional(
      Type.Unsafe<(typeof heldDataTypes)[number] | null>({
        type: ['string', 'null'],
        enum: [...heldDataTypes, null],
        description: 'type that the entry shows; null for metrology',
      }),
    ),
  });

export type DataEntryChange = Static<ReturnType<typeof DataEntryChange>>;

export const NewSampleLink = (limits: CatalogueLimits) =>
  Type.Object({
    data_ids: LinkedIds('data entries to link', limits),
    physical_sample_id: Uuid('the sample that they belong to from now on'),
  });
