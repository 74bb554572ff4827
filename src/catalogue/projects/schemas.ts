import { Type } from '@sinclair/typebox';
import { DateTime, Name, Nullable, Uuid } from '../../http/schemas.ts';
import { Note } from '../schemas.ts';

/** The client's own JSON object. */
const ApiConfiguration = Type.Unsafe<Record<string, unknown>>({
  type: 'object',
  additionalProperties: true,
  description:
    'any JSON object, kept as it is; a text under `tracking_physical_sample_id` also makes that sample the tracked one',
});

export const ProjectConfiguration = Type.Object({
  api_configuration: Type.Unsafe<Record<string, unknown> | null>({ ...ApiConfiguration, type: ['object', 'null'] }),
  tracking_physical_sample_ids: Type.Array(Type.String(), { description: "the project's samples, first added first" }),
  active_tracking_physical_sample_id: Nullable(Type.String()),
});

export const Project = Type.Object({
  id: Type.String(),
  name: Type.String(),
  physical_sample_count: Type.Integer(),
  owner_id: Type.String(),
  owner_name: Type.String(),
  created_datetime: DateTime('when the project was created'),
  last_updated: DateTime('when the project or its samples were last changed'),
  detail_note: Note,
  configuration: ProjectConfiguration,
});

export const NewProject = Type.Object(
  { name: Name({ description: 'trimmed; one project per name, without regard to case' }) },
  { additionalProperties: false },
);

export const NewConfiguration = ApiConfiguration;

export const NewTrackingSample = Type.Object({
  physical_sample_id: Uuid('sample that the project tracks from now on'),
  set_active: Type.Optional(Type.Boolean({ description: 'make it the active one; false when absent' })),
});

export const ProjectParams = Type.Object({ project_id: Uuid('project') });
