import { sql } from 'kysely';

/**
 * SQL: the projects of a row `stream`, its own and those of its sample, as `project`. The row is looked up once more, since in a
 * cluster a part of a statement that names no table of streams is not sent to the nodes of the streams.
 */
export const projectsOfStream = sql`
  from (
    select own.project_id from streams as own where own.data_id = stream.data_id
    union
    select member.project_id from streams as own
    join project_physical_samples as member
      on member.physical_sample_id = own.physical_sample_id and member.organization_id = own.organization_id
    where own.data_id = stream.data_id
  ) as belonging
  join projects as project using (project_id)
  where project.organization_id = stream.organization_id`;

/** Their order: the stream's own project comes first, since the SDK shows only that one. */
export const projectOrder = sql`project.project_id is distinct from stream.project_id, lower(project.name)`;
