import { Type } from '@sinclair/typebox';
import { DateTime, Name, Nullable, Uuid } from '../../http/schemas.ts';
import { InstrumentId, Note, ProjectReference } from '../schemas.ts';

/** The client's own JSON object. */
const Metadata = Type.Unsafe<Record<string, unknown> | null>({
  type: ['object', 'null'],
  additionalProperties: true,
  description: 'any JSON object of the client',
});

/**
 * The row has `id` and never `physical_sample_id`: the SDK's streamer accepts either name, and fails if both are present.
 */
const sampleProperties = {
  id: Type.String(),
  name: Type.String(),
  created_datetime: DateTime('when the sample was created'),
  last_updated: DateTime('when the sample was last changed'),
  version: Type.Integer(),
  user_id: Type.String(),
  growth_instrument_id: Nullable(Type.Integer()),
  sample_id: Nullable(Type.Integer()),
  detail_notes_id: Nullable(Type.String()),
  physical_sample_metadata: Metadata,
};

export const PhysicalSample = Type.Object(sampleProperties);

export const PhysicalSampleRow = Type.Object({
  ...sampleProperties,
  owner_id: Type.String(),
  owner_name: Type.String(),
  projects: Type.Array(ProjectReference),
  target_material: Nullable(Type.Object({ substrate: Type.String(), sample_name: Type.String() })),
  detail_notes: Note,
  growth_instrument: Nullable(Type.String({ description: 'name of the instrument' })),
  num_data_items: Type.Integer({ description: 'streams of this sample' }),
});

export const NewPhysicalSample = Type.Object({
  name: Name({ description: 'trimmed; one sample per name, without regard to case' }),
  growth_instrument_id: Type.Optional(Nullable(InstrumentId('growth instrument that made the sample'))),
  sample_id: Type.Optional(
    Nullable(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: "the lab's own number" })),
  ),
  detail_notes_id: Type.Optional(Nullable(Uuid('note of the sample'))),
  physical_sample_metadata: Type.Optional(Metadata),
});

const { name, sample_id, detail_notes_id, physical_sample_metadata } = NewPhysicalSample.properties;

export const PhysicalSampleChange = Type.Object({
  name: Type.Optional(name),
  sample_id,
  detail_notes_id,
  physical_sample_metadata,
});

export const SampleInstrument = Type.Object({
  growth_instrument_id: Nullable(InstrumentId('growth instrument that made the sample; null for none')),
});

export const PhysicalSampleQuery = Type.Object({
  physical_sample_id: Type.Optional(Uuid('only this sample')),
  has_data_item: Type.Optional(Type.Boolean({ description: 'only samples with (true) or without (false) streams' })),
});

export const PhysicalSampleParams = Type.Object({ physical_sample_id: Uuid('physical sample') });

export const SampleTimeseries = Type.Object({
  physical_sample_id: Type.String(),
  properties: Type.Array(Type.Object({}), { description: 'computed properties of the sample; this server has none' }),
});
