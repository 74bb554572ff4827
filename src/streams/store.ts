import { sql } from 'kysely';
import type { Database } from '../database/database.ts';
import type { InitializeBody, StreamIds } from './schemas.ts';

/** Which of the things that a new stream links to are the organization's own. */
export async function findLinks(database: Database, organizationId: string, links: InitializeBody) {
  const { rows } = await sql<{ instrument: boolean; sample: boolean; project: boolean }>`
    select
      exists (select from growth_instruments
              where organization_id = ${organizationId}::uuid and deleted_at is null
                and synth_source_id = ${links.synth_source_id ?? null}::integer) as instrument,
      exists (select from physical_samples
              where organization_id = ${organizationId}::uuid
                and physical_sample_id = ${links.physical_sample_id ?? null}::uuid) as sample,
      exists (select from projects
              where organization_id = ${organizationId}::uuid
                and project_id = ${links.project_id ?? null}::uuid) as project`.execute(
    database.as(organizationId).kysely,
  );
  return rows[0] as { instrument: boolean; sample: boolean; project: boolean };
}

export type NewStream = Omit<InitializeBody, 'stream_name'> & { stream_name: string; user_id: string };

/**
 * Makes a stream and its processed entry, both or none. A sample that comes with a project becomes one of the project's, as
 * when the SDK tracks it there.
 */
export async function insertStream(database: Database, organizationId: string, stream: NewStream): Promise<StreamIds> {
  const { rows } = await sql<StreamIds>`
    with stream as (
      insert into streams (organization_id, user_id, stream_name, points_per_chunk, instrument_type, synth_source_id,
                           physical_sample_id, project_id)
      values (${organizationId}::uuid, ${stream.user_id}::uuid, ${stream.stream_name}::text,
              ${stream.points_per_chunk}::integer, ${stream.instrument_type ?? null}::text,
              ${stream.synth_source_id ?? null}::integer, ${stream.physical_sample_id ?? null}::uuid,
              ${stream.project_id ?? null}::uuid)
      returning data_id, organization_id, project_id, physical_sample_id
    ), member as (
      insert into project_physical_samples (project_id, physical_sample_id, organization_id, created_at)
      select project_id, physical_sample_id, organization_id, clock_timestamp() from stream
      where project_id is not null and physical_sample_id is not null
      on conflict do nothing
      returning project_id
    ), project as (
      update projects set changed_at = clock_timestamp()
      where organization_id = ${organizationId}::uuid and project_id in (select project_id from member)
    )
    insert into processed_data_entries (data_id, organization_id)
    select data_id, organization_id from stream
    returning data_id, processed_data_id`.execute(database.as(organizationId).kysely);
  return rows[0] as StreamIds;
}

/** Marks a stream as finalized unless it is already. @returns its ids, or undefined for an unknown one. */
export async function finalizeStream(
  database: Database,
  organizationId: string,
  dataId: string,
): Promise<StreamIds | undefined> {
  await sql`
    update streams set finalized_at = clock_timestamp(), changed_at = clock_timestamp()
    where organization_id = ${organizationId}::uuid and data_id = ${dataId}::uuid and deleted_at is null
      and finalized_at is null`.execute(database.as(organizationId).kysely);
  return database
    .as(organizationId)
    .kysely.selectFrom('processed_data_entries')
    .innerJoin('streams', 'streams.data_id', 'processed_data_entries.data_id')
    .select(['processed_data_entries.data_id', 'processed_data_id'])
    .where('streams.organization_id', '=', organizationId)
    .where('streams.data_id', '=', dataId)
    .where('streams.deleted_at', 'is', null)
    .executeTakeFirst();
}
